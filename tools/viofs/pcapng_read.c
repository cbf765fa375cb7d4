/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng, read: only of this machine's byte order, and only what is asked for.
 *
 * A block is {type, length, body, length}. Each length is compared with what there is.
 */
#include "pcapng_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTION 0x0a0d0d0aU
#define BYTE_ORDER_MAGIC 0x1a2b3c4dU
#define PACKET 6U
/* interface, time (2), captured, original. */
#define PACKET_HEAD 20U
#define BLOCK_MAX (1U << 20)

struct block {
	uint32_t type, len; /* of the body */
	uint8_t *body;
};

/* Return: 1; 0: the file ends here; -1: it is no such file. */
static int read_block(FILE *f, struct block *b)
{
	uint32_t head[2], last;
	size_t n = fread(head, 1, sizeof(head), f);

	if (!n)
		return 0;
	if (n != sizeof(head) || head[1] < 12 || head[1] > BLOCK_MAX || head[1] % 4)
		return -1;
	b->type = head[0];
	b->len = head[1] - 12;
	return fread(b->body, 1, b->len, f) == b->len && fread(&last, 1, 4, f) == 4 &&
			       last == head[1]
		       ? 1
		       : -1;
}

static const char *take(const struct block *b, struct viofs_pcapng_found *out)
{
	uint32_t captured;

	if (b->len < PACKET_HEAD)
		return "a packet is too short";
	memcpy(&captured, b->body + 12, sizeof(captured));
	if (captured > b->len - PACKET_HEAD || captured < sizeof(out->packet))
		return "it is no packet of viofsctl capture";
	memcpy(&out->packet, b->body + PACKET_HEAD, sizeof(out->packet));
	if (out->packet.version != VIOFS_PACKET_VERSION ||
	    out->packet.header != sizeof(out->packet))
		return "it is no packet of this version of viofsctl capture";
	out->captured = captured - (uint32_t)sizeof(out->packet);
	out->message = malloc(out->captured + 1);
	if (!out->message)
		return "out of memory";
	memcpy(out->message, b->body + PACKET_HEAD + sizeof(out->packet), out->captured);
	return NULL;
}

static const char *find(FILE *f, struct block *b, unsigned long number,
			struct viofs_pcapng_found *out)
{
	uint32_t magic = 0;
	int rc = read_block(f, b);

	if (rc > 0 && b->type == SECTION && b->len >= sizeof(magic))
		memcpy(&magic, b->body, sizeof(magic));
	if (magic != BYTE_ORDER_MAGIC)
		return "that is no file of viofsctl capture";
	while ((rc = read_block(f, b)) > 0)
		if (b->type == PACKET && !--number)
			return take(b, out);
	return rc ? "the file is damaged" : "there is no such packet";
}

const char *viofs_pcapng_find(const char *path, unsigned long number,
			      struct viofs_pcapng_found *out)
{
	struct block b = { .body = malloc(BLOCK_MAX) };
	FILE *f = fopen(path, "rbe");
	const char *wrong = !f ? strerror(errno) : !b.body ? "out of memory" : NULL;

	if (!wrong)
		wrong = find(f, &b, number, out);
	if (f)
		fclose(f);
	free(b.body);
	return wrong;
}
