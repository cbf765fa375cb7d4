/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far a copy is, on a terminal. */
#ifndef VIOFS_TOOLS_PROGRESS_H
#define VIOFS_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct viofs_progress {
	bool on;
	bool open_end;                 /* more may be found */
	uint64_t files, bytes;         /* done */
	uint64_t all_files, all_bytes; /* found so far */
	int64_t begin, last;           /* ns */
	char name[80];
};

/** viofs_progress_init() - on where standard error is a terminal and @quiet isn't set. */
void viofs_progress_init(struct viofs_progress *p, bool quiet);
/** viofs_progress_show() - now and then. */
void viofs_progress_show(struct viofs_progress *p);
/** viofs_progress_clear() - before something else is written there. */
void viofs_progress_clear(struct viofs_progress *p);
/** viofs_progress_name() - what is worked on. */
void viofs_progress_name(struct viofs_progress *p, const char *path);

#endif
