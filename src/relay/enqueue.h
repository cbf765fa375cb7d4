/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A slot onto a virtqueue. */
#ifndef VIOFS_RELAY_ENQUEUE_H
#define VIOFS_RELAY_ENQUEUE_H

struct viofs_relay;
struct viofs_slot;

/**
 * viofs_enqueue() - put a slot on queue @q; no kick yet
 * Return: 0; -ENOSPC: no room; -EPIPE: the ring is broken; -EMSGSIZE: it can never fit.
 */
int viofs_enqueue(struct viofs_relay *r, struct viofs_slot *slot, unsigned int q);

#endif
