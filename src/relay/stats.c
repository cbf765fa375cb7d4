/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the relay counts, in words. */
#include "relay/stats.h"
#include "base/util.h"

const char *viofs_quirk_text(unsigned int bit)
{
	static const char *const texts[VIOFS_QUIRKS] = {
		"used.len is 0 with a good reply",
		"no FUSE_MAX_PAGES: requests of 128 KiB at most",
		"INIT flags that were never offered",
		"open flags that need the kernel's own driver",
		"answered FUSE_INIT only after a second notification",
	};

	return bit < VIOFS_QUIRKS ? texts[bit] : NULL;
}

const char *viofs_stage_name(enum viofs_stage stage)
{
	static const char *const names[] = { "starting", "serving", "ending",
					     "ended",    "failed",  "lost" };

	return (unsigned int)stage < VIOFS_ARRAY_SIZE(names) ? names[stage] : "unknown";
}
