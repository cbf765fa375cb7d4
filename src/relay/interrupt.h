/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * INTERRUPTs as the kernel sends them: which lane has the request, and what it needs.
 *
 * An INTERRUPT names a request that another lane may have. It is passed on (mailbox.h) until it
 * comes to that lane. If it has been everywhere, the request has ended.
 */
#ifndef VIOFS_RELAY_INTERRUPT_H
#define VIOFS_RELAY_INTERRUPT_H

#include <stddef.h>
#include <stdint.h>

struct viofs_lane;

/** viofs_interrupt_handle() - an INTERRUPT that the lane has read. */
void viofs_interrupt_handle(struct viofs_lane *lane, const uint8_t *message, size_t len);

/** viofs_interrupt_handle_mail() - look for the requests of the INTERRUPTs that were passed to the
 * lane. */
void viofs_interrupt_handle_mail(struct viofs_lane *lane);

#endif
