/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single FUSE requests: made from words, and sent.
 *
 * The program's one thread. DMA memory for data is struct viofs_raw's from its beginning to its
 * end, and every request uses it anew.
 */
#include "raw.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* INIT flag FUSE_SETXATTR_EXT. */
#define SETXATTR_EXT (1ULL << 29)
#define TARGET_MAX 4095U

int viofs_raw_open(struct viofs_raw *r, struct viofs_session *session, struct viofs_err *err)
{
	struct viofs_session_info info = { .size = sizeof(info) };
	int rc;

	memset(r, 0, sizeof(*r));
	r->session = session;
	r->dev = viofs_session_dev(session);
	viofs_session_info_get(session, &info);
	r->setxattr_ext = (info.flags & SETXATTR_EXT) != 0;
	r->in = viofs_dma_alloc(r->dev, VIOFS_RAW_DATA);
	r->out = viofs_dma_alloc(r->dev, VIOFS_RAW_DATA);
	rc = r->in && r->out ? viofs_queue_open(r->dev, &r->queue, err) : -ENOMEM;
	if (rc == -ENOMEM)
		snprintf(err->text, sizeof(err->text), "Out of DMA memory.");
	if (rc)
		viofs_raw_close(r);
	return rc;
}

void viofs_raw_close(struct viofs_raw *r)
{
	bool in_use = r->queue && viofs_queue_in_flight(r->queue);

	viofs_queue_close(r->queue);
	/* The device may still write to memory of a request that it hasn't answered. */
	if (!in_use) {
		viofs_dma_free(r->dev, r->in);
		viofs_dma_free(r->dev, r->out);
	}
	r->queue = NULL;
}

/* The next field of @at. Return: its bytes, 0: there is none. */
static uint32_t next_field(const char **at, const char **name, size_t *len)
{
	char *end;
	uint32_t size;

	while (**at == ' ')
		(*at)++;
	if (!**at)
		return 0;
	*name = *at;
	*len = strcspn(*at, ":");
	size = (uint32_t)strtoul(*at + *len + 1, &end, 10);
	*at = end;
	return size;
}

uint32_t viofs_raw_size(const char *fields)
{
	uint32_t all = 0, size;
	const char *name;
	size_t len;

	while ((size = next_field(&fields, &name, &len)))
		all += size;
	return all;
}

/* Where @field is. Return: its bytes, 0: it is not there. */
static uint32_t locate(const char *fields, const char *field, size_t field_len, uint32_t *offset)
{
	uint32_t at = 0, size;
	const char *name;
	size_t len;

	while ((size = next_field(&fields, &name, &len))) {
		if (len == field_len && *name != '.' && !memcmp(name, field, len)) {
			*offset = at;
			return size;
		}
		at += size;
	}
	return 0;
}

const char *viofs_raw_args(const struct viofs_raw *r, const struct viofs_raw_op *op)
{
	bool longer = r->setxattr_ext && op->flags & VIOFS_RAW_VALUE_IN;

	return longer ? VIOFS_RAW_LONG_SETXATTR : op->args;
}

uint64_t viofs_raw_get(const struct viofs_raw *r, const char *field)
{
	uint32_t offset, size = locate(r->op->reply, field, strlen(field), &offset);
	uint64_t value = 0;

	if (!size || size > sizeof(value) || offset + size > r->reply_size)
		return 0;
	memcpy(&value, r->reply + offset, size);
	return value;
}

static int complain(struct viofs_raw *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static int complain(struct viofs_raw *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->said, sizeof(r->said), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int number(struct viofs_raw *r, const char *word, const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		return complain(r, "%.60s: not a number", word);
	return 0;
}

/* Header fields that are anybody's. Return: 1: it was one; 0; -EINVAL. */
static int set_header(struct viofs_raw *r, const char *word, size_t len, const char *value)
{
	static const char *const names[] = { "nodeid", "uid", "gid", "pid" };
	uint64_t n;

	for (unsigned int i = 0; i < 4; i++) {
		if (len != strlen(names[i]) || memcmp(word, names[i], len) != 0)
			continue;
		if (number(r, word, value, &n))
			return -EINVAL;
		if (i == 0)
			r->request.nodeid = n;
		else
			*(i == 1   ? &r->request.uid
			  : i == 2 ? &r->request.gid
				   : &r->request.pid) = (uint32_t)n;
		return 1;
	}
	return 0;
}

/* A word for the struct. Return: as set_header(). */
static int set_field(struct viofs_raw *r, const char *word, size_t len, const char *value)
{
	uint32_t offset, size = locate(viofs_raw_args(r, r->op), word, len, &offset);
	uint64_t n;

	if (!size)
		return 0;
	if (number(r, word, value, &n))
		return -EINVAL;
	memcpy(r->args + offset, &n, size);
	return 1;
}

static uint32_t arg(const struct viofs_raw *r, const char *field)
{
	uint32_t offset, size = locate(viofs_raw_args(r, r->op), field, strlen(field), &offset),
			 value = 0;

	if (size == sizeof(value))
		memcpy(&value, r->args + offset, size);
	return value;
}

static void set_arg(struct viofs_raw *r, const char *field, uint32_t value)
{
	uint32_t offset, size = locate(viofs_raw_args(r, r->op), field, strlen(field), &offset);

	if (size == sizeof(value))
		memcpy(r->args + offset, &value, size);
}

static const char *word_of(char **words, int count, const char *name, size_t len)
{
	for (int i = 0; i < count; i++)
		if (!strncmp(words[i], name, len) && words[i][len] == '=')
			return words[i] + len + 1;
	return NULL;
}

static int append(struct viofs_raw *r, const char *text, size_t size)
{
	if (r->request.args_size + size > sizeof(r->args))
		return complain(r, "the request is too long");
	memcpy(r->args + r->request.args_size, text, size);
	r->request.args_size += (uint32_t)size;
	return 0;
}

static int add_names(struct viofs_raw *r, char **words, int count)
{
	for (const char *name = r->op->names; *name;) {
		size_t len = strcspn(name, " ");
		const char *value = word_of(words, count, name, len);

		if (!value)
			return complain(r, "%.*s= is missing", (int)len, name);
		if (append(r, value, strlen(value) + 1))
			return -EINVAL;
		name += len + (name[len] == ' ');
	}
	return 0;
}

static bool is_known(const struct viofs_raw *r, const char *word, size_t len)
{
	const char *at = r->op->names;

	if (len == 4 && !memcmp(word, "data", 4) &&
	    r->op->flags & (VIOFS_RAW_DATA_IN | VIOFS_RAW_VALUE_IN))
		return true;
	for (; *at; at += strcspn(at, " "), at += *at == ' ')
		if (strcspn(at, " ") == len && !memcmp(at, word, len))
			return true;
	return false;
}

static int take_words(struct viofs_raw *r, char **words, int count)
{
	for (int i = 0; i < count; i++) {
		size_t len = strcspn(words[i], "=");
		const char *value = words[i] + len + 1;
		int rc;

		if (!words[i][len])
			return complain(r, "%.60s: FIELD=VALUE is wanted", words[i]);
		/* A struct's pid (of a lock) goes before the header's. */
		rc = set_field(r, words[i], len, value);
		if (!rc)
			rc = set_header(r, words[i], len, value);
		if (rc < 0)
			return rc;
		if (!rc && !is_known(r, words[i], len))
			return complain(r, "%s has no field \"%.*s\"",
					viofs_fuse_opcode_name(r->op->opcode),
					(int)(len < 60 ? len : 60), words[i]);
	}
	return 0;
}

/* How much may come back. */
static int make_room(struct viofs_raw *r)
{
	unsigned int flags = r->op->flags;
	uint32_t size = arg(r, r->op->opcode == 39 ? "out_size" : "size");

	r->request.reply_size = viofs_raw_size(r->op->reply);
	r->out_room = 0;
	if (flags & VIOFS_RAW_TARGET_OUT)
		r->out_room = TARGET_MAX;
	else if (flags & VIOFS_RAW_DATA_OUT)
		r->out_room = size;
	if (flags & VIOFS_RAW_SIZE_OUT && size)
		r->request.reply_size = 0;
	return r->out_room > VIOFS_RAW_DATA ? complain(r, "size: %u are the most", VIOFS_RAW_DATA)
					    : 0;
}

static int add_data(struct viofs_raw *r, char **words, int count)
{
	const char *data = word_of(words, count, "data", 4);
	size_t size = data ? strlen(data) : 0;

	r->in_size = 0;
	if (r->op->flags & VIOFS_RAW_VALUE_IN) {
		set_arg(r, "size", (uint32_t)size);
		return data ? append(r, data, size) : 0;
	}
	if (!(r->op->flags & VIOFS_RAW_DATA_IN))
		return 0;
	if (size > VIOFS_RAW_DATA)
		return complain(r, "data: %u bytes are the most", VIOFS_RAW_DATA);
	set_arg(r, r->op->opcode == 39 ? "in_size" : "size", (uint32_t)size);
	if (size)
		memcpy(r->in, data, size);
	r->in_size = size;
	return 0;
}

/* An empty one. Return: 0; -EINVAL: it isn't for us to send. */
static int begin(struct viofs_raw *r, const struct viofs_raw_op *op)
{
	r->op = op;
	if (op->flags & VIOFS_RAW_OURS)
		return complain(r, "%s is for the session to send",
				viofs_fuse_opcode_name(op->opcode));
	memset(r->args, 0, sizeof(r->args));
	memset(r->reply, 0, sizeof(r->reply));
	r->request = (struct viofs_request){
		.opcode = op->opcode,
		.flags = VIOFS_REQUEST_SHORT |
			 (op->flags & VIOFS_RAW_NO_REPLY ? VIOFS_REQUEST_SILENT : 0),
		.uid = getuid(),
		.gid = getgid(),
		.pid = (uint32_t)getpid(),
		.args_size = viofs_raw_size(viofs_raw_args(r, op)),
		.args = r->args,
		.reply = r->reply,
		.user = r,
	};
	return 0;
}

int viofs_raw_build(struct viofs_raw *r, const struct viofs_raw_op *op, char **words, int count)
{
	int rc = begin(r, op);

	if (rc)
		return rc;
	/* BATCH_FORGET is asked for one at a time here. */
	if (op->opcode == 42)
		set_arg(r, "count", 1);
	rc = take_words(r, words, count);
	if (!rc)
		rc = add_names(r, words, count);
	if (!rc)
		rc = add_data(r, words, count);
	return rc ? rc : make_room(r);
}

int viofs_raw_load(struct viofs_raw *r, const uint8_t *message, uint32_t size)
{
	struct {
		uint32_t len, opcode;
		uint64_t unique, nodeid;
		uint32_t uid, gid, pid, more;
	} head;
	const struct viofs_raw_op *op;
	uint32_t args;
	int rc;

	if (size < sizeof(head))
		return complain(r, "it is too short");
	memcpy(&head, message, sizeof(head));
	message += sizeof(head);
	size -= (uint32_t)sizeof(head);
	op = viofs_raw_row(head.opcode);
	if (!op)
		return complain(r, "there is no opcode %u", head.opcode);
	rc = begin(r, op);
	if (rc)
		return rc;
	args = r->op->flags & VIOFS_RAW_DATA_IN ? viofs_raw_size(r->op->args) : size;
	if (size < args || args > sizeof(r->args) || size - args > VIOFS_RAW_DATA)
		return complain(r, "its length doesn't fit its opcode");
	memcpy(r->args, message, args);
	r->request.args_size = args;
	r->in_size = size - args;
	if (r->in_size)
		memcpy(r->in, message + args, r->in_size);
	r->request.nodeid = head.nodeid;
	r->request.uid = head.uid;
	r->request.gid = head.gid;
	r->request.pid = head.pid;
	return make_room(r);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The completion of this very request; those of earlier ones that nobody waited for are dropped. */
static int await(struct viofs_raw *r, int64_t timeout_ns)
{
	int64_t end = timeout_ns < 0 ? INT64_MAX : now() + timeout_ns;

	for (;;) {
		int64_t left = timeout_ns < 0 ? -1 : end - now();
		int rc = timeout_ns >= 0 && left <= 0
				 ? 0
				 : viofs_queue_wait(r->queue, &r->done, 1, 1, left);

		if (rc < 0)
			return rc;
		if (!rc)
			return -ETIMEDOUT;
		if (r->done.unique == r->request.unique)
			return 0;
	}
}

int viofs_raw_wait(struct viofs_raw *r, unsigned int timeout_ms)
{
	int rc = await(r, timeout_ms ? timeout_ms * 1000000LL : -1);

	r->ns = now() - r->begin;
	if (rc)
		return rc;
	r->answered = true;
	if (!r->done.error) {
		r->reply_size =
			r->done.size < r->request.reply_size ? r->done.size : r->request.reply_size;
		r->out_size = r->done.size - r->reply_size;
		if (r->out_size > r->out_room)
			r->out_size = (uint32_t)r->out_room;
	}
	return 0;
}

int viofs_raw_send(struct viofs_raw *r, unsigned int timeout_ms)
{
	struct iovec in = { r->in, r->in_size }, out = { r->out, r->out_room };
	int rc;

	r->request.data = &in;
	r->request.data_count = r->in_size ? 1 : 0;
	r->request.reply_data = &out;
	r->request.reply_data_count = r->out_room ? 1 : 0;
	memset(&r->done, 0, sizeof(r->done));
	r->answered = false;
	r->reply_size = r->out_size = 0;
	r->begin = now();
	rc = viofs_queue_submit(r->queue, &r->request, 1);
	if (rc <= 0)
		return rc ? rc : -EAGAIN;
	return r->op->flags & VIOFS_RAW_NO_REPLY ? 0 : viofs_raw_wait(r, timeout_ms);
}
