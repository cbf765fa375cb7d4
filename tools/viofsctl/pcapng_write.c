/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng, written (draft-ietf-opsawg-pcapng).
 *
 * A block is {type, length, body, options, length}. They are gathered, and written whole: who kills
 * the program finds a file that can be read.
 */
#include "pcapng_write.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTION 0x0a0d0d0aU
#define BYTE_ORDER_MAGIC 0x1a2b3c4dU
#define INTERFACE 1U
#define STATISTICS 5U
#define PACKET 6U
/* Options. */
#define END 0U
#define SECTION_PROGRAM 4U
#define INTERFACE_NAME 2U
#define INTERFACE_DESCRIPTION 3U
#define INTERFACE_RESOLUTION 9U
#define PACKET_FLAGS 2U
#define PACKET_LOST 4U
#define STATISTICS_PACKETS 4U
#define STATISTICS_LOST 5U
#define NANOSECONDS 9
#define INBOUND 1U
#define OUTBOUND 2U
/* The largest block has a message of VIOFS_CAPTURE_SNAP_MAX and little else. */
#define ROOM ((size_t)1 << 20)
#define BLOCK_MAX (ROOM / 4)

static void put(struct viofs_pcapng *p, const void *bytes, size_t len)
{
	static const uint8_t zero[4];
	size_t pad = viofs_align_up(len, 4) - len;

	memcpy(p->buffer + p->len, bytes, len);
	memcpy(p->buffer + p->len + len, zero, pad);
	p->len += len + pad;
}

static void put_u32(struct viofs_pcapng *p, uint32_t value)
{
	put(p, &value, sizeof(value));
}

static void put_option(struct viofs_pcapng *p, uint32_t code, const void *value, size_t len)
{
	len = VIOFS_MIN(len, UINT16_MAX);
	put_u32(p, code | (uint32_t)len << 16);
	put(p, value, len);
}

/* Return: where the block begins. */
static size_t begin_block(struct viofs_pcapng *p, uint32_t type)
{
	size_t at;

	if (p->room - p->len < BLOCK_MAX)
		viofs_pcapng_flush(p);
	at = p->len;
	put_u32(p, type);
	put_u32(p, 0);
	return at;
}

static void end_block(struct viofs_pcapng *p, size_t at)
{
	uint32_t len;

	put_u32(p, END);
	len = (uint32_t)(p->len - at) + (uint32_t)sizeof(len);
	put_u32(p, len);
	memcpy(p->buffer + at + 4, &len, sizeof(len));
}

/* Of a time: the upper half first. */
static void put_time(struct viofs_pcapng *p, uint64_t time)
{
	put_u32(p, (uint32_t)(time >> 32));
	put_u32(p, (uint32_t)time);
}

int viofs_pcapng_begin(struct viofs_pcapng *p, int fd, const char *program)
{
	const uint16_t version[] = { 1, 0 };
	const int64_t unknown = -1;
	size_t at;

	*p = (struct viofs_pcapng){ .fd = fd, .buffer = malloc(ROOM), .room = ROOM };
	if (!p->buffer)
		return -ENOMEM;
	at = begin_block(p, SECTION);
	put_u32(p, BYTE_ORDER_MAGIC);
	put(p, version, sizeof(version));
	put(p, &unknown, sizeof(unknown));
	put_option(p, SECTION_PROGRAM, program, strlen(program));
	end_block(p, at);
	return 0;
}

void viofs_pcapng_interface(struct viofs_pcapng *p, unsigned int linktype, uint32_t snap,
			    const char *name, const char *description)
{
	const uint8_t resolution = NANOSECONDS;
	size_t at = begin_block(p, INTERFACE);

	put_u32(p, linktype);
	put_u32(p, snap);
	put_option(p, INTERFACE_NAME, name, strlen(name));
	put_option(p, INTERFACE_DESCRIPTION, description, strlen(description));
	put_option(p, INTERFACE_RESOLUTION, &resolution, sizeof(resolution));
	end_block(p, at);
}

void viofs_pcapng_packet(struct viofs_pcapng *p, unsigned int interface, uint64_t time,
			 const void *head, uint32_t head_len, const void *message,
			 uint32_t captured, uint32_t len, bool inbound, uint64_t lost)
{
	const uint32_t flags = inbound ? INBOUND : OUTBOUND;
	size_t at = begin_block(p, PACKET);

	put_u32(p, interface);
	put_time(p, time);
	put_u32(p, head_len + captured);
	put_u32(p, head_len + VIOFS_MAX(len, captured));
	/* A multiple of 4: what follows is in one piece with it. */
	put(p, head, head_len);
	put(p, message, captured);
	put_option(p, PACKET_FLAGS, &flags, sizeof(flags));
	if (lost)
		put_option(p, PACKET_LOST, &lost, sizeof(lost));
	end_block(p, at);
}

void viofs_pcapng_statistics(struct viofs_pcapng *p, unsigned int interface, uint64_t time,
			     uint64_t packets, uint64_t lost)
{
	size_t at = begin_block(p, STATISTICS);

	put_u32(p, interface);
	put_time(p, time);
	put_option(p, STATISTICS_PACKETS, &packets, sizeof(packets));
	put_option(p, STATISTICS_LOST, &lost, sizeof(lost));
	end_block(p, at);
}

int viofs_pcapng_flush(struct viofs_pcapng *p)
{
	size_t done = 0;

	while (!p->rc && done < p->len) {
		ssize_t n = write(p->fd, p->buffer + done, p->len - done);

		if (n < 0 && errno != EINTR)
			p->rc = -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	p->len = 0;
	return p->rc;
}

int viofs_pcapng_end(struct viofs_pcapng *p)
{
	if (!p->buffer)
		return p->rc;
	viofs_pcapng_flush(p);
	free(p->buffer);
	p->buffer = NULL;
	return p->rc;
}
