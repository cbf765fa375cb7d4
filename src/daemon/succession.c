/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often a worker may be succeeded by another. */
#include "daemon/succession.h"
#include "base/util.h"

#include <errno.h>

#define SPAN_NS (60 * VIOFS_NSEC_PER_SEC)

bool viofs_succession_note(struct viofs_succession *s, int64_t now, struct viofs_err *err)
{
	/* If as many have died as are allowed, this is the place of the oldest death. */
	int64_t *time = &s->times[s->deaths % VIOFS_MAX(s->most, 1U)];
	bool often = s->deaths >= s->most && (!s->most || now - *time < SPAN_NS);

	s->last = *err;
	if (often && s->most)
		viofs_err_set(err, -EIO,
			      "%s; %u workers have died in %d s, and -o restarts= allows for %u",
			      s->last.text, s->most + 1, (int)(SPAN_NS / VIOFS_NSEC_PER_SEC),
			      s->most);
	*time = s->died = now;
	s->deaths++;
	s->due = !often;
	return s->due;
}

int64_t viofs_succession_done(struct viofs_succession *s, int64_t now)
{
	s->restarts++;
	return now - s->died;
}
