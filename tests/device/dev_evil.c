/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The misbehaviours, in tables: one of the ring's, one of the replies', one of the messages'. */
#include "dev_evil.h"
#include "dev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_HEADER ((uint32_t)sizeof(struct fuse_out_header))
#define RULES_MAX 16
/* Inside what an IOMMU can map, and no driver's choice. */
#define STRAY_ADDRESS (64ULL << 30)

/* Of a used entry. Return: the right one is not to follow. */
typedef bool complete_fn(struct dev_request *r);
/* Of a reply, before it is written. */
typedef void reply_fn(struct dev_request *r, struct fuse_out_header *h);

static void push(struct dev_request *r, uint32_t id)
{
	r->queue->ring.ops->push(&r->queue->ring, (uint16_t)id, r->chain.slots, r->used_len);
}

static bool used_idx_jump(struct dev_request *r)
{
	r->queue->ring.ops->jump(&r->queue->ring, r->queue->ring.in_flight + 5);
	return true;
}

static bool used_id_range(struct dev_request *r)
{
	push(r, r->queue->vring.size + 3U);
	return true;
}

static bool used_id_idle(struct dev_request *r)
{
	uint16_t id = 0;

	while (r->queue->ring.busy[id])
		id++;
	push(r, id);
	return true;
}

static bool used_id_twice(struct dev_request *r)
{
	push(r, r->chain.id);
	return false;
}

static bool ring_scribble(struct dev_request *r)
{
	r->queue->ring.ops->scribble(&r->queue->ring);
	return true;
}

/* Behind an IOMMU: try to write where that is not allowed, and say what came of it. */
static void stray(struct dev_request *r, uint64_t address, const char *what)
{
	uint64_t len = 64;
	void *p = dev_iotlb_find(r->queue->dev, address, &len, true);

	if (p)
		memset(p, 0xee, len);
	dev_say("stray write to %s: %s", what, p ? "LANDED" : "refused");
}

static bool stray_unmapped(struct dev_request *r)
{
	stray(r, STRAY_ADDRESS, "an address that is not mapped");
	return false;
}

static bool stray_read_only(struct dev_request *r)
{
	stray(r, r->chain.readable_at, "a request");
	return false;
}

static bool used_never(struct dev_request *r)
{
	return true;
}

static bool go_silent(struct dev_request *r)
{
	r->queue->dev->silent = true;
	return true;
}

static bool quit(struct dev_request *r)
{
	r->queue->dev->quit = true;
	return true;
}

static bool used_then_quit(struct dev_request *r)
{
	r->queue->dev->quit = true;
	return false;
}

static bool write_after(struct dev_request *r)
{
	return false; /* dev_evil_keeps() */
}

static void used_len_zero(struct dev_request *r, struct fuse_out_header *h)
{
	r->used_len = 0;
}

static void used_len_long(struct dev_request *r, struct fuse_out_header *h)
{
	r->used_len = r->room + 1;
}

static void used_len_huge(struct dev_request *r, struct fuse_out_header *h)
{
	r->used_len = UINT32_MAX;
}

static void used_len_short(struct dev_request *r, struct fuse_out_header *h)
{
	r->used_len = r->out_len - 1;
}

static void used_len_room(struct dev_request *r, struct fuse_out_header *h)
{
	r->used_len = r->room;
}

static void len_short(struct dev_request *r, struct fuse_out_header *h)
{
	h->len = OUT_HEADER - 1;
}

static void len_zero(struct dev_request *r, struct fuse_out_header *h)
{
	h->len = 0;
}

static void len_long(struct dev_request *r, struct fuse_out_header *h)
{
	h->len = r->room + 4096;
}

static void len_huge(struct dev_request *r, struct fuse_out_header *h)
{
	h->len = UINT32_MAX;
}

static void error_positive(struct dev_request *r, struct fuse_out_header *h)
{
	h->error = 5;
}

static void error_512(struct dev_request *r, struct fuse_out_header *h)
{
	h->error = -512;
}

static void error_min(struct dev_request *r, struct fuse_out_header *h)
{
	h->error = INT32_MIN;
}

/* An error with all of a payload behind it. */
static void error_payload(struct dev_request *r, struct fuse_out_header *h)
{
	h->error = -EACCES;
}

static void unique_wrong(struct dev_request *r, struct fuse_out_header *h)
{
	h->unique ^= 1ULL << 40;
}

/* What the kernel takes for a notification, with a code that exists. */
static void unique_zero(struct dev_request *r, struct fuse_out_header *h)
{
	h->unique = 0;
	h->error = FUSE_NOTIFY_INVAL_INODE;
}

static void set_length(struct dev_request *r, struct fuse_out_header *h, uint32_t len)
{
	h->len = r->out_len = r->used_len = len;
}

static void payload_short(struct dev_request *r, struct fuse_out_header *h)
{
	if (r->out_len > OUT_HEADER)
		set_length(r, h, r->out_len - 1);
}

static void payload_none(struct dev_request *r, struct fuse_out_header *h)
{
	set_length(r, h, OUT_HEADER);
}

/* All of the room, and in its length one byte more than there is. */
static void payload_long(struct dev_request *r, struct fuse_out_header *h)
{
	set_length(r, h, r->room);
	h->len = r->used_len = r->room + 1;
}

/* All of the room is said to be written, and only the header is. */
static void payload_unwritten(struct dev_request *r, struct fuse_out_header *h)
{
	set_length(r, h, r->room);
	r->out_len = OUT_HEADER;
}

static void open_flags(struct dev_request *r, struct fuse_out_header *h)
{
	struct fuse_open_out *o = dev_payload(r);

	if (r->head->opcode == FUSE_OPEN && r->out_len >= OUT_HEADER + sizeof(*o))
		o->open_flags |=
			1U << 7 | 1U << 8; /* FOPEN_PASSTHROUGH, FOPEN_IO_URING_ZERO_COPY */
}

static const struct kind {
	const char *name;
	reply_fn *reply;
	complete_fn *complete;
} kinds[] = {
	{ "used-idx-jump", NULL, used_idx_jump },
	{ "used-id-range", NULL, used_id_range },
	{ "used-id-idle", NULL, used_id_idle },
	{ "used-id-twice", NULL, used_id_twice },
	{ "ring-scribble", NULL, ring_scribble },
	{ "stray-unmapped", NULL, stray_unmapped },
	{ "stray-read-only", NULL, stray_read_only },
	{ "used-never", NULL, used_never },
	{ "silent", NULL, go_silent },
	{ "close", NULL, quit },
	{ "close-after", NULL, used_then_quit },
	{ "write-after", NULL, write_after },
	{ "used-len-zero", used_len_zero, NULL },
	{ "used-len-long", used_len_long, NULL },
	{ "used-len-huge", used_len_huge, NULL },
	{ "used-len-short", used_len_short, NULL },
	{ "used-len-room", used_len_room, NULL },
	{ "len-short", len_short, NULL },
	{ "len-zero", len_zero, NULL },
	{ "len-long", len_long, NULL },
	{ "len-huge", len_huge, NULL },
	{ "error-positive", error_positive, NULL },
	{ "error-512", error_512, NULL },
	{ "error-min", error_min, NULL },
	{ "error-payload", error_payload, NULL },
	{ "unique-wrong", unique_wrong, NULL },
	{ "unique-zero", unique_zero, NULL },
	{ "payload-short", payload_short, NULL },
	{ "payload-none", payload_none, NULL },
	{ "payload-long", payload_long, NULL },
	{ "payload-unwritten", payload_unwritten, NULL },
	{ "open-flags", open_flags, NULL },
};

enum message_fault { CLOSE, HALF, MUTE, REFUSE, GARBAGE, WRONG, UNASKED };

static const char *const message_faults[] = {
	[CLOSE] = "close",     /* instead of handling it */
	[HALF] = "half",       /* of the reply, then close */
	[MUTE] = "mute",       /* no reply */
	[REFUSE] = "refuse",   /* an acknowledgement that says so */
	[GARBAGE] = "garbage", /* bytes that are no message */
	[WRONG] = "wrong",     /* the reply to another message */
	[UNASKED] = "unasked", /* the reply twice */
};

struct rule {
	const struct kind *kind;
	int opcode; /* -1: any */
	bool forever, armed;
};

/** struct dev_evil - what it has in mind */
struct dev_evil {
	struct rule rules[RULES_MAX];
	unsigned int message;
	enum message_fault message_fault;
	const struct dev_request *kept; /* the one that write-after was for */
};

static struct dev_evil *evil_of(struct dev *d)
{
	if (!d->evil)
		d->evil = calloc(1, sizeof(*d->evil));
	if (!d->evil)
		abort();
	return d->evil;
}

const char *dev_evil_list(void)
{
	static char text[1024];
	size_t len = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " %s", kinds[i].name);
	return text;
}

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

int dev_evil_add(struct dev *d, const char *text)
{
	struct rule rule = { .opcode = -1, .armed = true };
	struct dev_evil *e = evil_of(d);
	char name[64], *at;

	snprintf(name, sizeof(name), "%s", text);
	if (name[0] && name[strlen(name) - 1] == '*') {
		rule.forever = true;
		name[strlen(name) - 1] = '\0';
	}
	at = strchr(name, '@');
	if (at) {
		*at++ = '\0';
		rule.opcode = dev_fuse_opcode(at);
		if (rule.opcode < 0)
			return -EINVAL;
	}
	rule.kind = find_kind(name);
	for (int i = 0; rule.kind && i < RULES_MAX; i++) {
		if (e->rules[i].armed)
			continue;
		e->rules[i] = rule;
		return 0;
	}
	return -EINVAL;
}

void dev_evil_clear(struct dev *d)
{
	memset(evil_of(d)->rules, 0, sizeof(d->evil->rules));
}

int dev_evil_add_message(struct dev *d, const char *text)
{
	struct dev_evil *e = evil_of(d);
	char name[64], *is;

	snprintf(name, sizeof(name), "%s", text);
	is = strchr(name, '=');
	if (!is)
		return -EINVAL;
	*is++ = '\0';
	e->message = dev_messages_number(name);
	for (size_t i = 0; i < sizeof(message_faults) / sizeof(message_faults[0]); i++) {
		if (strcmp(message_faults[i], is) != 0)
			continue;
		e->message_fault = (enum message_fault)i;
		return e->message ? 0 : -EINVAL;
	}
	return -EINVAL;
}

bool dev_evil_message(struct dev *d, unsigned int request)
{
	const struct dev_evil *e = evil_of(d);

	if (e->message != request || e->message_fault != CLOSE)
		return false;
	d->quit = true;
	return true;
}

bool dev_evil_reply_message(struct dev *d, unsigned int request, void *bytes, size_t len)
{
	static const char garbage[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	const struct dev_evil *e = evil_of(d);

	if (e->message != request)
		return false;
	switch (e->message_fault) {
	case HALF:
		send(d->sock, bytes, len / 2, MSG_NOSIGNAL);
		d->quit = true;
		return true;
	case MUTE:
		return true;
	case GARBAGE:
		send(d->sock, garbage, sizeof(garbage) - 1, MSG_NOSIGNAL);
		return true;
	case WRONG:
		*(uint32_t *)bytes += 1;
		return false;
	case UNASKED:
		send(d->sock, bytes, len, MSG_NOSIGNAL);
		return false;
	default:
		return false;
	}
}

int dev_evil_ack(struct dev *d, unsigned int request, int rc)
{
	const struct dev_evil *e = evil_of(d);

	return e->message == request && e->message_fault == REFUSE ? 1 : rc;
}

static struct rule *find_rule(struct dev *d, const struct dev_request *r, bool completing)
{
	struct dev_evil *e = evil_of(d);

	for (int i = 0; i < RULES_MAX; i++) {
		struct rule *rule = &e->rules[i];

		if (rule->armed && !rule->kind->complete == !completing &&
		    (rule->opcode < 0 || (uint32_t)rule->opcode == r->head->opcode))
			return rule;
	}
	return NULL;
}

void dev_evil_reply(struct dev *d, struct dev_request *r)
{
	struct rule *rule = r->out_len ? find_rule(d, r, false) : NULL;

	if (!rule)
		return;
	rule->armed = rule->forever;
	rule->kind->reply(r, (struct fuse_out_header *)(void *)r->out);
	/* Bytes that are said to be there are, as far as there is room. */
	if (r->out_len > r->room)
		r->out_len = r->room;
}

bool dev_evil_complete(struct dev *d, struct dev_request *r)
{
	struct rule *rule = find_rule(d, r, true);

	if (!rule)
		return false;
	rule->armed = rule->forever;
	if (rule->kind->complete == write_after)
		evil_of(d)->kept = r;
	return rule->kind->complete(r);
}

bool dev_evil_keeps(struct dev *d, struct dev_request *r)
{
	return evil_of(d)->kept == r;
}
