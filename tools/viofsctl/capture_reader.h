/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records out of memory that a worker writes, as packets in the order of time. */
#ifndef VIOFS_TOOLS_CAPTURE_READER_H
#define VIOFS_TOOLS_CAPTURE_READER_H

#include "packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct viofs_reader;

/** struct viofs_captured - one packet */
struct viofs_captured {
	uint64_t time; /* ns since 1970 */
	unsigned int ring;
	uint64_t lost; /* packets of that ring, right before this one */
	struct viofs_packet packet;
	const uint8_t *message;
	uint32_t captured; /* bytes of it */
};

/**
 * viofs_reader_new() - of the memory that a daemon has handed out; nothing in it is believed
 * @fd: stays the caller's. What is written from now on is read.
 * Return: 0; -EPROTO: its size makes no sense; -errno.
 */
int viofs_reader_new(int fd, struct viofs_reader **out);

/** viofs_reader_free() - NULL is fine. */
void viofs_reader_free(struct viofs_reader *r);

/** viofs_reader_rings() - how many there are: of each lane, of hiprio, of notifications. */
unsigned int viofs_reader_rings(const struct viofs_reader *r);

/** viofs_reader_name() - "lane 0", "hiprio". @out: 16 bytes. */
const char *viofs_reader_name(const struct viofs_reader *r, unsigned int ring, char out[16]);

/** viofs_reader_fill() - copy what is new. Return: is there anything? */
bool viofs_reader_fill(struct viofs_reader *r);

/** viofs_reader_next() - the oldest of what was copied. Return: false: that was all. */
bool viofs_reader_next(struct viofs_reader *r, struct viofs_captured *out);

/** viofs_reader_lost() - packets that came too fast, of one ring. */
uint64_t viofs_reader_lost(const struct viofs_reader *r, unsigned int ring);

/** viofs_reader_count_rest() - also those lost that no packet came after. At the end. */
void viofs_reader_count_rest(struct viofs_reader *r);

#endif
