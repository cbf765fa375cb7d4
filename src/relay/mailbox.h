/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lanes tell each other: INTERRUPTs, which name a request that another lane may have. */
#ifndef VIOFS_RELAY_MAILBOX_H
#define VIOFS_RELAY_MAILBOX_H

#include "relay/parking.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct viofs_lane;

/** struct viofs_mailbox - what other lanes have for one */
struct viofs_mailbox {
	pthread_mutex_t lock;
	struct viofs_parking letters;
	_Atomic bool full; /* there are some */
};

/** viofs_mailbox_init() - its letters are for the caller to lay out. */
void viofs_mailbox_init(struct viofs_mailbox *m);

/** viofs_mailbox_pass() - @message, of @len bytes, to the mailbox of @to, which is woken.
 * Return: 0; -ENOMEM. */
int viofs_mailbox_pass(struct viofs_lane *to, void *message, size_t len);

/**
 * viofs_mailbox_read() - a copy of the oldest, which stays there
 * @size: of @message. @len: out, of the letter, which may be shorter or longer.
 * Return: false: there is none.
 */
bool viofs_mailbox_read(struct viofs_mailbox *m, void *message, size_t size, size_t *len);

/** viofs_mailbox_drop() - the oldest was dealt with. */
void viofs_mailbox_drop(struct viofs_mailbox *m);

/** viofs_mailbox_has_mail() - without a lock. */
static inline bool viofs_mailbox_has_mail(const struct viofs_mailbox *m)
{
	return atomic_load_explicit(&m->full, memory_order_relaxed);
}

#endif
