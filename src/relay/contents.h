/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose data slots and buffers contain, so that no file's data is given to a reader of another
 * file.
 *
 * A device may say that it wrote more than it did. So the place of a reply is cleared before the
 * device gets it, as far as the place may be dirty, and not where it holds nothing but data of the
 * file that is read now.
 */
#ifndef VIOFS_RELAY_CONTENTS_H
#define VIOFS_RELAY_CONTENTS_H

#include "relay/slots.h"

/** viofs_contents_take_buffer() - as viofs_slots_take_buffer(), for the slot's reply: rather one
 * with the same file's data. */
uint16_t viofs_contents_take_buffer(struct viofs_slots *s, const struct viofs_slot *slot,
				    uint16_t keep);

/**
 * viofs_contents_note() - @len bytes of a message were put at the beginning of @buffer
 * @head: its header, of which only opcode and nodeid are looked at. NULL: data of no one file.
 */
void viofs_contents_note(struct viofs_slots *s, uint16_t buffer, const struct fuse_in_header *head,
			 size_t len);

/**
 * viofs_contents_forget() - a FORGET or BATCH_FORGET is sent: the device may give these nodeids to
 * other files
 * Looks at the buffers of all pools. Context: any thread; before the device can see it.
 */
void viofs_contents_forget(struct viofs_slots *s, const void *message, size_t len);

/** viofs_contents_clear_reply() - leave nothing of others where the device is about to write the
 * reply. */
void viofs_contents_clear_reply(struct viofs_slots *s, const struct viofs_slot *slot);

#endif
