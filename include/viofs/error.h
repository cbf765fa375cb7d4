/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An error's text, for the person who must do something about it. */
#ifndef VIOFS_ERROR_H
#define VIOFS_ERROR_H

/**
 * struct viofs_err - what went wrong, in words
 * @text: one or more sentences, NUL-terminated, no trailing newline: what was wrong and what to do.
 *
 * Functions that fail return a negative errno and fill one of these. Callers that don't want the
 * text pass NULL. The library never prints, never exits, and never changes a signal's disposition.
 */
struct viofs_err {
	char text[512];
};

#endif
