/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The notification queue: what the device says unasked, well or badly, by order of a test. */
/*
 * Orders (dev_control.c passes them here):
 *
 *   change NAME TEXT   a file in the root of the tree has this content now: INVAL_INODE
 *   remove NAME        it is gone: DELETE
 *   rename OLD NEW     INVAL_ENTRY for both names
 *   quietly ORDER      the same, and nothing is said
 *   store NAME TEXT    its page cache, not the file: STORE
 *   epoch              INC_EPOCH
 *   notify CODE UNIQUE LEN WRITTEN HEX   anything: LEN and WRITTEN "-" are the right ones
 *   flood N CODE HEX   N of them, as fast as the driver gives buffers
 *   notify-id ID       a used entry with this id, and no notification
 */
#include "dev.h"
#include "dev_nodes.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ROOT 1
#define PAYLOAD_MAX 3000U

struct message {
	struct message *next;
	uint32_t len, written;
	uint8_t bytes[];
};

static struct {
	struct message *first, **last;
	bool quiet;
} waiting = { .last = &waiting.first };

static struct dev_queue *queue_of(struct dev *d)
{
	return &d->queues[DEV_NOTIFICATION];
}

/* Into a buffer of the driver's. Return: false: there is none. */
static bool give(struct dev *d, const struct message *m)
{
	struct dev_queue *q = queue_of(d);
	struct dev_chain *c = calloc(1, sizeof(*c));
	uint32_t room = 0, left = m->len;
	const uint8_t *from = m->bytes;

	if (!c)
		abort();
	if (!dev_queue_pop(q, c)) {
		free(c);
		return false;
	}
	if (c->readable)
		dev_driver_fault("a buffer for notifications has something to read");
	for (unsigned int i = 0; i < c->writable; i++) {
		uint32_t n = left < c->pieces[i].iov_len ? left : (uint32_t)c->pieces[i].iov_len;

		memcpy(c->pieces[i].iov_base, from, n);
		from += n;
		left -= n;
		room += (uint32_t)c->pieces[i].iov_len;
	}
	if (room < d->notify_size)
		dev_driver_fault("a buffer for notifications of %u bytes", room);
	q->ring.busy[c->id] = 0;
	q->ring.in_flight--;
	q->ring.ops->push(&q->ring, c->id, c->slots, m->written);
	dev_queue_signal(q);
	free(c);
	return true;
}

bool dev_notify_run(struct dev *d)
{
	struct dev_queue *q = queue_of(d);

	if (!d->notify || !(d->features & 1) || !q->started || !q->enabled || !dev_queue_map(q))
		return false;
	while (waiting.first && give(d, waiting.first)) {
		struct message *m = waiting.first;

		waiting.first = m->next;
		if (!m->next)
			waiting.last = &waiting.first;
		free(m);
		d->notified++;
	}
	return waiting.first && q->ring.ops->set_kicks(&q->ring, true);
}

static void say(int32_t code, uint64_t unique, const char *len, const char *written,
		const void *payload, size_t size)
{
	uint32_t total = (uint32_t)(sizeof(struct fuse_out_header) + size);
	struct fuse_out_header head = { total, code, unique };
	struct message *m = calloc(1, sizeof(*m) + total);

	if (!m)
		abort();
	if (len && *len != '-')
		head.len = (uint32_t)strtoul(len, NULL, 0);
	m->len = m->written = total;
	if (written && *written != '-')
		m->written = (uint32_t)strtoul(written, NULL, 0);
	memcpy(m->bytes, &head, sizeof(head));
	memcpy(m->bytes + sizeof(head), payload, size);
	*waiting.last = m;
	waiting.last = &m->next;
}

static void tell(int32_t code, const void *payload, size_t size)
{
	if (!waiting.quiet)
		say(code, 0, NULL, NULL, payload, size);
}

static void tell_inode(uint64_t nodeid)
{
	const struct fuse_notify_inval_inode_out out = { .ino = nodeid };

	tell(FUSE_NOTIFY_INVAL_INODE, &out, sizeof(out));
}

/* DELETE of @child, or INVAL_ENTRY for @child 0. */
static void tell_name(const char *name, uint64_t child)
{
	struct {
		union {
			struct fuse_notify_delete_out gone;
			struct fuse_notify_inval_entry_out entry;
		} head;
		char name[256];
	} out = { 0 };
	size_t len = strlen(name), at = child ? sizeof(out.head.gone) : sizeof(out.head.entry);

	if (child)
		out.head.gone = (struct fuse_notify_delete_out){ ROOT, child, (uint32_t)len, 0 };
	else
		out.head.entry = (struct fuse_notify_inval_entry_out){ ROOT, (uint32_t)len, 0 };
	memcpy((uint8_t *)&out + at, name, len + 1);
	tell(child ? FUSE_NOTIFY_DELETE : FUSE_NOTIFY_INVAL_ENTRY, &out, at + len + 1);
}

static int change(struct dev_node *n, const char *text)
{
	int rc = dev_node_resize(n, 0);

	if (!rc)
		rc = dev_node_resize(n, strlen(text));
	if (rc)
		return rc;
	memcpy(n->data, text, strlen(text));
	dev_node_touch(n, true);
	tell_inode(n->attr.ino);
	return 0;
}

static int store(const struct dev_node *n, const char *text)
{
	struct {
		struct fuse_notify_store_out out;
		char data[256];
	} m = { .out = { .nodeid = n->attr.ino, .size = (uint32_t)strlen(text) } };

	if (m.out.size > sizeof(m.data))
		return -EINVAL;
	memcpy(m.data, text, m.out.size);
	tell(FUSE_NOTIFY_STORE, &m, sizeof(m.out) + m.out.size);
	return 0;
}

/* Orders about a name in the root. */
static int obey_name(const char *word, const char *name, const char *rest)
{
	struct dev_node *root = dev_node_find(ROOT), *n;
	struct dev_entry *e = dev_entry_find(root, name);

	if (!e)
		return -ENOENT;
	n = e->node;
	if (!strcmp(word, "change"))
		return change(n, rest);
	if (!strcmp(word, "store"))
		return store(n, rest);
	dev_entry_remove(root, e);
	if (!strcmp(word, "remove")) {
		tell_name(name, n->attr.ino);
		dev_node_drop(n);
		return 0;
	}
	dev_entry_add(root, rest, n);
	tell_name(name, 0);
	tell_name(rest, 0);
	return 0;
}

static size_t read_hex(const char *text, uint8_t *bytes)
{
	size_t n = 0;

	for (; text && text[0] && text[1] && n < PAYLOAD_MAX; text += 2, n++) {
		char pair[3] = { text[0], text[1], 0 };

		bytes[n] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

/* notify CODE UNIQUE LEN WRITTEN HEX */
static int obey_notify(char *rest)
{
	static uint8_t bytes[PAYLOAD_MAX];
	char *code = strsep(&rest, " "), *unique = strsep(&rest, " "), *len = strsep(&rest, " ");
	char *written = strsep(&rest, " ");
	size_t size = read_hex(rest, bytes);

	if (!written)
		return -EINVAL;
	say(atoi(code), strtoull(unique, NULL, 0), len, written, bytes, size);
	return 0;
}

/* flood N CODE HEX */
static int obey_flood(char *rest)
{
	static uint8_t bytes[PAYLOAD_MAX];
	char *count = strsep(&rest, " "), *code = strsep(&rest, " ");
	size_t size = read_hex(rest, bytes);

	if (!code)
		return -EINVAL;
	for (int i = 0; i < atoi(count); i++)
		say(atoi(code), 0, NULL, NULL, bytes, size);
	return 0;
}

static int obey_id(struct dev *d, const char *rest)
{
	struct dev_queue *q = queue_of(d);

	if (!q->started)
		return -EINVAL;
	q->ring.ops->push(&q->ring, (uint16_t)atoi(rest), 1, 0);
	dev_queue_signal(q);
	return 0;
}

int dev_notify_obey(struct dev *d, const char *word, char *rest)
{
	char *name;

	if (!d->notify)
		return -EINVAL;
	waiting.quiet = !strcmp(word, "quietly");
	if (waiting.quiet)
		word = strsep(&rest, " ");
	if (!strcmp(word, "epoch")) {
		tell(8, NULL, 0);
		return 0;
	}
	if (!rest)
		return -EINVAL;
	if (!strcmp(word, "notify"))
		return obey_notify(rest);
	if (!strcmp(word, "flood"))
		return obey_flood(rest);
	if (!strcmp(word, "notify-id"))
		return obey_id(d, rest);
	if (strcmp(word, "change") && strcmp(word, "remove") && strcmp(word, "rename") &&
	    strcmp(word, "store"))
		return -EINVAL;
	name = strsep(&rest, " ");
	return obey_name(word, name, rest ? rest : "");
}
