/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libviofs' directories and walks, whose device answers with anything. Input: options, what the
 * program does, then the device's answers, one after the other: a kind, then an error or a payload.
 *
 * All of src/client above the queue is the real code: the session, readdir, the names and nodes
 * that READDIRPLUS makes known, walks along them. In place of the queue is a device that answers at
 * once. It reads its own answers as the protocol has them, so it knows which entries the program
 * must see, and counts lookups as devices do.
 */
#include "fuzz.h"

#include "client/client_session.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#define ROOM 4096U /* max_write, and so a portion */
#define ENTRIES_MAX (ROOM / 24U)
#define NODES_MAX 1024U
#define ACTIONS_MAX 96U
#define QUEUED_MAX 4U

enum action { READ, READ_AGAIN, PORTION, SEEK, STAT, ENTER, DROP, ACTIONS };

/* An entry of the portion that is there, as the protocol has it. */
struct expected {
	uint64_t ino, off;
	uint32_t type;
	struct fuse_entry_out e;
	char name[NAME_MAX + 1];
};

static struct viofs_fs fs;
static struct viofs_dev dev;
static uint8_t reserve[VIOFS_RESERVE]; /* of the only lane */

static struct {
	struct fuzz_input in;
	bool no_opendir;
	/* The directory as it must come. */
	struct expected entries[ENTRIES_MAX];
	unsigned int count, next;
	uint64_t fh, where;
	bool plus, bad, end;
	int error;          /* of the last READDIR */
	unsigned int asked; /* READDIRs so far */
	/* Lookups that were counted. */
	struct {
		uint64_t nodeid, lookups;
	} nodes[NODES_MAX];
	unsigned int node_count;
	/* Completions that were not taken yet. */
	struct viofs_completion queued[QUEUED_MAX];
	unsigned int queued_count;
	char last[NAME_MAX + 1]; /* name that was seen last */
	uint64_t last_next;
} f;

int __wrap_viofs_queue_open(struct viofs_dev *d, struct viofs_queue **out, struct viofs_err *err);
void __wrap_viofs_queue_close(struct viofs_queue *q);
int __wrap_viofs_queue_submit(struct viofs_queue *q, struct viofs_request *requests,
			      unsigned int count);
int __wrap_viofs_queue_poll(struct viofs_queue *q, struct viofs_completion *out, unsigned int max);
unsigned int __wrap_viofs_queue_abandon(struct viofs_queue *q, struct viofs_completion *out,
					unsigned int max);
unsigned int __wrap_viofs_queue_waits(struct viofs_queue *q, uint64_t *uniques, unsigned int max);
unsigned int __wrap_viofs_vq_drain(struct viofs_vq *vq, struct viofs_queue *q,
				   struct viofs_completion *out, unsigned int max,
				   const char **why);
void *__wrap_viofs_dma_alloc(struct viofs_dev *d, size_t size);
void __wrap_viofs_dma_free(struct viofs_dev *d, void *memory);

int __wrap_viofs_queue_open(struct viofs_dev *d, struct viofs_queue **out, struct viofs_err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		abort();
	(*out)->dev = d;
	(*out)->wake_fd = (*out)->epoll_fd = -1;
	return 0;
}

void __wrap_viofs_queue_close(struct viofs_queue *q)
{
	free(q);
}

unsigned int __wrap_viofs_vq_drain(struct viofs_vq *vq, struct viofs_queue *q,
				   struct viofs_completion *out, unsigned int max, const char **why)
{
	return 0;
}

/* The heap's red zones are around it. */
void *__wrap_viofs_dma_alloc(struct viofs_dev *d, size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		abort();
	return memory;
}

void __wrap_viofs_dma_free(struct viofs_dev *d, void *memory)
{
	if (memory != reserve)
		free(memory);
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static bool is_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

static uint64_t *lookups_of(uint64_t nodeid)
{
	for (unsigned int i = 0; i < f.node_count; i++)
		if (f.nodes[i].nodeid == nodeid)
			return &f.nodes[i].lookups;
	if (f.node_count == NODES_MAX)
		abort(); /* more than an input can name */
	f.nodes[f.node_count].nodeid = nodeid;
	f.nodes[f.node_count].lookups = 0;
	return &f.nodes[f.node_count++].lookups;
}

/* 0 is no inode, and the root's is not counted. */
static void count_lookup(uint64_t nodeid)
{
	if (nodeid && nodeid != FUSE_ROOT_ID)
		++*lookups_of(nodeid);
}

static void take_forgets(const struct viofs_request *r)
{
	const struct fuse_batch_forget_in *head = r->args;
	const struct fuse_forget_one *one = (const void *)(head + 1);

	fuzz_check(r->opcode == FUSE_BATCH_FORGET && r->flags & VIOFS_REQUEST_SILENT);
	fuzz_check(r->args_size == sizeof(*head) + head->count * sizeof(*one));
	for (uint32_t i = 0; i < head->count; i++) {
		uint64_t *lookups = lookups_of(one[i].nodeid);

		fuzz_check(one[i].nlookup && one[i].nlookup <= *lookups);
		*lookups -= one[i].nlookup;
	}
}

/* What of @size bytes of a READDIR are entries, by the letter of the protocol. */
static void expect(const uint8_t *data, size_t size)
{
	size_t head = f.plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET, at = 0;

	f.count = f.next = 0;
	f.end = !size;
	f.bad = false;
	while (at < size && !f.bad) {
		struct expected *x = &f.entries[f.count];
		struct fuse_dirent d;
		size_t whole;

		f.bad = true;
		if (size - at < head)
			break;
		memset(x, 0, sizeof(*x));
		if (f.plus)
			memcpy(&x->e, data + at, sizeof(x->e));
		memcpy(&d, data + at + (f.plus ? sizeof(x->e) : 0), FUSE_NAME_OFFSET);
		if (d.namelen < 1 || d.namelen > NAME_MAX)
			break;
		whole = (head + d.namelen + 7) / 8 * 8;
		if (whole > size - at)
			break;
		memcpy(x->name, data + at + head, d.namelen);
		if (strlen(x->name) != d.namelen || strchr(x->name, '/'))
			break;
		f.bad = false;
		x->ino = d.ino;
		x->type = d.type;
		f.where = x->off = d.off;
		if (f.plus && !is_dots(x->name))
			count_lookup(x->e.nodeid);
		f.count++;
		at += whole;
	}
}

static uint32_t answer_readdir(const struct viofs_request *r)
{
	const struct fuse_read_in *in = r->args;
	size_t size = fuzz_u16(&f.in) % (ROOM + 1);

	fuzz_check(r->args_size == sizeof(*in) && in->fh == f.fh && in->size == ROOM);
	fuzz_check(r->reply_data_count == 1 && r->reply_data->iov_len == ROOM);
	fuzz_check(in->offset == f.where && !f.end && !f.bad && f.next == f.count);
	size = fuzz_take(&f.in, r->reply_data->iov_base, size);
	f.plus = r->opcode == FUSE_READDIRPLUS;
	expect(r->reply_data->iov_base, size);
	return (uint32_t)size;
}

static uint32_t answer_init(const struct viofs_request *r, bool plus)
{
	struct fuse_init_out *out = r->reply;

	*out = (struct fuse_init_out){ .major = FUSE_KERNEL_VERSION,
				       .minor = 36,
				       .max_write = ROOM,
				       .time_gran = 1,
				       .max_pages = 1,
				       .max_background = 16 };
	out->flags = FUSE_MAX_PAGES | FUSE_NO_OPENDIR_SUPPORT | (plus ? FUSE_DO_READDIRPLUS : 0U);
	return sizeof(*out);
}

/* The struct of a reply, from the input. */
static uint32_t answer_struct(const struct viofs_request *r)
{
	fuzz_take(&f.in, r->reply, r->reply_size);
	if (r->opcode == FUSE_LOOKUP)
		count_lookup(((const struct fuse_entry_out *)r->reply)->nodeid);
	if (r->opcode == FUSE_OPENDIR)
		f.fh = ((const struct fuse_open_out *)r->reply)->fh;
	return r->reply_size;
}

/* Return: a negative errno, or bytes. */
static int answer(const struct viofs_request *r)
{
	bool readdir = r->opcode == FUSE_READDIR || r->opcode == FUSE_READDIRPLUS;
	uint8_t kind = fuzz_u8(&f.in);

	f.asked += readdir;
	if (kind % 8 == 7) {
		int error = -1 - fuzz_u8(&f.in);

		if (readdir)
			f.error = error;
		return error;
	}
	if (readdir) {
		f.error = 0;
		return (int)answer_readdir(r);
	}
	if (r->opcode == FUSE_READLINK)
		return (int)fuzz_take(&f.in, r->reply_data->iov_base, fuzz_u16(&f.in) % PATH_MAX);
	if (!f.in.left && r->opcode != FUSE_OPENDIR)
		return -ENOENT;
	return (int)answer_struct(r);
}

int __wrap_viofs_queue_submit(struct viofs_queue *q, struct viofs_request *r, unsigned int count)
{
	struct viofs_completion c = { .user = r->user, .unique = 2 };
	int rc;

	fuzz_check(count == 1);
	if (r->opcode == FUSE_BATCH_FORGET) {
		take_forgets(r);
		return 1;
	}
	if (r->opcode == FUSE_INIT)
		rc = (int)answer_init(r, fuzz_u8(&f.in) & 1);
	else if (r->opcode == FUSE_RELEASEDIR || r->opcode == FUSE_DESTROY)
		rc = 0;
	else if (r->opcode == FUSE_OPENDIR && f.no_opendir)
		rc = -ENOSYS;
	else
		rc = answer(r);
	c.error = rc < 0 ? rc : 0;
	c.size = rc < 0 ? 0 : (uint32_t)rc;
	if (f.queued_count == QUEUED_MAX)
		return 0;
	f.queued[f.queued_count++] = c;
	q->in_flight++;
	return 1;
}

int __wrap_viofs_queue_poll(struct viofs_queue *q, struct viofs_completion *out, unsigned int max)
{
	/* Calls are made one at a time: what is there is this queue's. */
	unsigned int n = f.queued_count < max ? f.queued_count : max;

	if (!n)
		return 0;
	memcpy(out, f.queued, n * sizeof(*out));
	f.queued_count -= n;
	memmove(f.queued, f.queued + n, f.queued_count * sizeof(*out));
	q->in_flight -= n;
	return (int)n;
}

/* What was asked has its answer already. */
unsigned int __wrap_viofs_queue_abandon(struct viofs_queue *q, struct viofs_completion *out,
					unsigned int max)
{
	return (unsigned int)__wrap_viofs_queue_poll(q, out, max);
}

unsigned int __wrap_viofs_queue_waits(struct viofs_queue *q, uint64_t *uniques, unsigned int max)
{
	return 0;
}

static void check_stat(const struct stat *st)
{
	fuzz_check(is_type(st->st_mode) && st->st_size >= 0 && st->st_blksize > 0);
	fuzz_check(st->st_atim.tv_nsec >= 0 && st->st_atim.tv_nsec <= 999999999);
	fuzz_check(st->st_mtim.tv_nsec >= 0 && st->st_mtim.tv_nsec <= 999999999);
	fuzz_check(st->st_ctim.tv_nsec >= 0 && st->st_ctim.tv_nsec <= 999999999);
}

/* An entry that the program was given: the next one of the device's, and nothing made up. */
static void check_entry(const struct viofs_dirent *entry)
{
	const struct expected *x = &f.entries[f.next];
	bool known = x->type <= DT_SOCK && (x->type % 2 == 0 || x->type == DT_FIFO);
	bool has_stat = f.plus && !is_dots(x->name) && x->e.nodeid > FUSE_ROOT_ID &&
			is_type(x->e.attr.mode) && x->e.attr.size <= INT64_MAX;

	fuzz_check(f.next < f.count);
	fuzz_check(!strcmp(entry->name, x->name));
	fuzz_check(entry->ino == x->ino && entry->next == x->off);
	fuzz_check(entry->type == (known ? x->type : DT_UNKNOWN));
	fuzz_check(!!entry->st == has_stat && entry->name_len == strlen(x->name));
	if (has_stat) {
		check_stat(entry->st);
		fuzz_check(entry->st->st_ino == x->e.attr.ino &&
			   entry->st->st_mode == x->e.attr.mode);
		fuzz_check(entry->st->st_size == (off_t)x->e.attr.size);
	}
	f.next++;
	strcpy(f.last, entry->name);
	f.last_next = entry->next;
}

/* Return: 1: go on. */
static int read_one(struct viofs_dir *dir)
{
	unsigned int asked = f.asked, left = f.count - f.next;
	bool end = f.end, bad = f.bad;
	struct viofs_dirent entry;
	struct viofs_err err;
	int rc = viofs_dir_read(dir, &entry, &err);

	fuzz_check(f.asked - asked <= 2); /* READDIRPLUS that isn't known, then READDIR */
	fuzz_check(f.asked == asked || (!left && !end && !bad));
	if (rc == 1) {
		check_entry(&entry);
		return 1;
	}
	fuzz_check(f.next == f.count);
	if (!rc)
		fuzz_check(f.end && !f.bad);
	else
		fuzz_check(f.bad ? rc == -EIO : rc == f.error && f.asked > asked);
	return rc;
}

static void read_portion(struct viofs_async *a, struct viofs_dir *dir)
{
	struct viofs_dirent entry;
	struct viofs_event event;
	bool bad = f.bad, end = f.end;

	f.next = f.count; /* what is left is dropped */
	f.end = false;
	f.error = 0;
	fuzz_check(!viofs_dir_fill_async(a, dir, &event));
	fuzz_check(viofs_async_wait(a, &event, 1, 1, -1) == 1 && event.user == &event);
	if (event.result < 0)
		fuzz_check(event.result == (f.bad && (bad || !f.count) ? -EIO : f.error));
	else
		fuzz_check(!event.result == f.end && !f.error);
	if (f.error)
		f.end = end; /* where it was before */
	while (viofs_dir_next(dir, &entry) == 1)
		check_entry(&entry);
	fuzz_check(f.next == f.count);
}

static void stat_last(struct viofs_session *s, uint8_t how)
{
	static const char *const before[] = { "", "/", "", "./", "../" }, *const behind[] = {
		"", "/", "/..", "/.", "/"
	};
	char path[2 * NAME_MAX + 8];
	struct viofs_err err;
	struct stat st;

	snprintf(path, sizeof(path), "%s%s%s%s", before[how % 5], f.last, behind[how % 5],
		 how & 8 ? f.last : "");
	if (!viofs_path_stat(s, path, how >> 4 & 7, &st, &err))
		check_stat(&st);
}

static struct viofs_dir *open_dir(struct viofs_session *s, const char *path)
{
	struct viofs_dir *dir;
	struct viofs_err err;

	f.count = f.next = 0;
	f.where = f.fh = 0;
	f.bad = f.end = false;
	return viofs_dir_open(s, path, 0, &dir, &err) ? NULL : dir;
}

static void act(struct viofs_session *s, struct viofs_async *a, struct viofs_dir **dir,
		uint8_t what)
{
	switch ((enum action)(what % ACTIONS)) {
	case READ:
		read_one(*dir);
		break;
	case READ_AGAIN:
		for (unsigned int i = 0; i < 2 * ENTRIES_MAX && read_one(*dir) == 1; i++)
			;
		break;
	case PORTION:
		read_portion(a, *dir);
		break;
	case SEEK:
		f.where = what & 128 ? f.last_next : 0;
		f.count = f.next = 0;
		f.end = f.bad = false;
		viofs_dir_seek(*dir, f.where);
		break;
	case STAT:
		stat_last(s, what);
		break;
	case ENTER:
		viofs_dir_close(*dir, NULL);
		*dir = open_dir(s, f.last[0] && !is_dots(f.last) && what & 128 ? f.last : "/");
		break;
	case DROP:
	default:
		viofs_session_drop(s);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct viofs_session_options options;
	struct viofs_session *s;
	struct viofs_async *a;
	struct viofs_dir *dir;
	uint8_t actions[ACTIONS_MAX], count;
	int here = 1;
	struct viofs_err err;

	memset(&f, 0, sizeof(f));
	f.in = (struct fuzz_input){ data, size };
	f.no_opendir = fuzz_u8(&f.in) & 1;
	count = fuzz_u8(&f.in) % (ACTIONS_MAX + 1);
	fuzz_take(&f.in, actions, count);

	fs = (struct viofs_fs){ .queue_count = 2 };
	dev = (struct viofs_dev){ .at.fs = &fs,
				  .max_data = ROOM,
				  .options.spin_us = 1,
				  .here = &here,
				  .reserves = reserve };
	dev.vqs[VIOFS_FS_HIPRIO].lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	viofs_session_options_init(&options, sizeof(options));
	options.cache_names = 8;
	if (viofs_session_open(&dev, &options, &s, &err))
		abort();
	if (viofs_async_open(s, 0, &a, &err))
		abort();
	dir = open_dir(s, "/");
	for (unsigned int i = 0; i < count && dir; i++)
		act(s, a, &dir, actions[i]);
	viofs_dir_close(dir, NULL);
	viofs_async_close(a);
	viofs_session_close(s);
	/* Everything that was counted was given back. */
	for (unsigned int i = 0; i < f.node_count; i++)
		fuzz_check(!f.nodes[i].lookups);
	return 0;
}
