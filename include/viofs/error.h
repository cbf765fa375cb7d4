/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An error's text, for the person who must do something about it. */
#ifndef VIOFS_ERROR_H
#define VIOFS_ERROR_H

#include <stdint.h>

/** enum viofs_remedy - what would help, where it is a choice of the one who calls */
enum viofs_remedy {
	VIOFS_REMEDY_NONE,
	VIOFS_REMEDY_LESS_MEMORY,   /* viofs_dev_options: smaller dma_size, depth, or max_data */
	VIOFS_REMEDY_ALLOW_NOIOMMU, /* viofs_dev_options.flags: VIOFS_DEV_UNSAFE_NOIOMMU */
	VIOFS_REMEDY_FEWER_QUEUES,  /* viofs_dev_options.queues */
	/* Of virtiofs-vfio alone; the library doesn't ask for what they concern. */
	VIOFS_REMEDY_ANY_RING,
	VIOFS_REMEDY_NO_NOTIFICATIONS,
	VIOFS_REMEDY_NO_INTERRUPTS,
	VIOFS_REMEDY_LONGER_INIT,
	VIOFS_REMEDY_ONE_LANE,
	VIOFS_REMEDY_OTHER_CHANNEL,
	VIOFS_REMEDY_MORE_MEMORY,
	VIOFS_REMEDIES,
};

/**
 * struct viofs_err - what went wrong, in words
 * @text: one or more sentences, NUL-terminated, no trailing newline: what was wrong and what to do.
 * @fact: length of the part of @text that says what was wrong. A sentence behind it says how the
 * caller of the library can mend that. A program can put its own words there, by @remedy.
 * @remedy: enum viofs_remedy.
 *
 * Functions that fail return a negative errno and fill one of these. Callers that don't want the
 * text pass NULL. The library never prints, never exits, and never changes a signal's disposition.
 */
struct viofs_err {
	char text[508];
	uint16_t fact;
	uint16_t remedy;
};

#endif
