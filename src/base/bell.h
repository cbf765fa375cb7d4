/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signalling an eventfd that somebody else has too, without ever waiting. */
#ifndef VIOFS_BASE_BELL_H
#define VIOFS_BASE_BELL_H

struct viofs_bell;

/* Ways to have the kernel signal it: a set of them. io_uring is the faster one. */
#define VIOFS_BELL_URING 1U
#define VIOFS_BELL_AIO 2U

/** viofs_bell_new() - for @eventfd. Return: 0; -errno: the kernel lets us have none of @ways. */
int viofs_bell_new(int eventfd, unsigned int ways, struct viofs_bell **out);

/**
 * viofs_bell_ring() - add one to the eventfd; a full one stays full
 * Context: one thread at a time, of the process that called viofs_bell_new().
 */
void viofs_bell_ring(struct viofs_bell *b);

/** viofs_bell_free() - NULL is fine. In a child of fork(2) too: only the child's part goes. */
void viofs_bell_free(struct viofs_bell *b);

/**
 * viofs_bell_signal() - add one to @eventfd, once
 * Where the kernel allows neither way, nothing is signalled.
 */
void viofs_bell_signal(int eventfd);

#endif
