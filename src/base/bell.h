/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signalling an eventfd that somebody else has too, without ever waiting. */
#ifndef VIOFS_BASE_BELL_H
#define VIOFS_BASE_BELL_H

struct viofs_bell;

/** viofs_bell_new() - for @eventfd. Return: NULL: the kernel lets us have neither way. */
struct viofs_bell *viofs_bell_new(int eventfd);

/**
 * viofs_bell_ring() - add one to the eventfd; a full one stays full
 * Context: one thread at a time, of the process that called viofs_bell_new().
 */
void viofs_bell_ring(struct viofs_bell *b);

/** viofs_bell_free() - NULL is fine. In a child of fork(2) too: only the child's part goes. */
void viofs_bell_free(struct viofs_bell *b);

#endif
