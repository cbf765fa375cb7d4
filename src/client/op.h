/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls on files and paths, one by one. Private to src/client
 *
 * A call is an op: a chain of steps, each of which sends one request and names the step that goes
 * on with the reply. A blocking call and its asynchronous twin are the same op; only who drives it
 * and where its end is told differ. A step that can't send, since the queue or the DMA memory is
 * full, is run again later: up to its request it must do nothing that can't be done twice.
 *
 * An op belongs to a struct viofs_async (async.h), and is used by the thread that has that: its
 * user's, or with a blocking call whoever holds the lane's lock (blocking.h). It owns what is
 * allocated for the call, and gives it back at its end; a file or directory that it opens is its
 * own until it is handed out. One that is cancelled ends at once for its caller, whose memory it
 * then leaves alone, and goes on as an orphan until its requests have come back.
 *
 * Locks: a lane's, then the cache's, which is held shortly and never while sending.
 */
#ifndef VIOFS_CLIENT_OP_H
#define VIOFS_CLIENT_OP_H

#include "client/client_session.h"

#include <viofs/viofs.h>

#include <pthread.h>

struct viofs_op;
typedef void viofs_step(struct viofs_op *op);
/** viofs_judge() - may op's caller do it, as @attr is? Return: 0 or why not. See check.h. */
typedef int viofs_judge(struct viofs_op *op, const struct fuse_attr *attr);

/** struct viofs_call - a request in flight: what to do when it comes back */
struct viofs_call {
	struct viofs_op *op;
	void (*done)(struct viofs_call *call, const struct viofs_completion *c);
	void (*drop)(struct viofs_call *call); /* in place of that, where the op was cancelled;
						  NULL: the op's own */
};

/** enum viofs_walk_to - what of a path is looked for */
enum viofs_walk_to {
	VIOFS_TO_NODE,     /* walk.node */
	VIOFS_TO_PARENT,   /* walk.node is the folder, walk.name the last component */
	VIOFS_TO_NAME,     /* as TO_PARENT; the last component exists, and is known to the device:
			      walk.named */
	VIOFS_TO_ANY_NAME, /* as TO_NAME; where it doesn't exist walk.named is NULL */
	VIOFS_TO_MAYBE,    /* as TO_NODE; where it doesn't exist `absent`, and as TO_PARENT */
};

/** struct viofs_walk - on the way along a path; see walk.c */
struct viofs_walk {
	char *path, *rest;
	struct viofs_node **stack; /* from the root on, with a reference each */
	unsigned int depth, room;
	unsigned int flags, links;
	unsigned int floor;          /* depth where it began */
	struct viofs_node *searched; /* a folder that was found to permit it */
	enum viofs_walk_to to;
	bool last, must_be_folder, absent, odd; /* odd: the last component is ".", ".." or none */
	char name[NAME_MAX + 1];
	viofs_step *then;
	struct viofs_node *node;
	struct viofs_node *named; /* with a reference */
};

struct viofs_chunk;

/** struct viofs_io - a read or write of any size; see file_io.c */
struct viofs_io {
	const struct iovec *iov; /* &one, or what the op keeps */
	struct iovec one;
	unsigned int iov_count;
	uint64_t offset, size;
	uint64_t issued, end; /* bytes sent so far; bytes good so far as is known */
	unsigned int in_flight;
	int error; /* at `end` */
	bool write;
	/* Between the file and a descriptor; see file_fd.c. */
	bool by_fd;
	int fd;
	int64_t fd_offset;         /* where in it; negative: it is a stream */
	uint64_t passed;           /* bytes that the stream has got */
	struct viofs_chunk *held;  /* was read from it, and not sent */
	struct viofs_chunk *early; /* was read for it, and isn't its turn; by offset */
};

/** struct viofs_op - a call under way */
struct viofs_op {
	struct viofs_call call; /* first */
	struct viofs_async *a;
	struct viofs_op *next; /* free, or waiting for room */
	struct viofs_op *ended_next, *live_next, **live_at;
	viofs_step *step;
	struct viofs_caller *caller; /* of a view or a file, which outlives the call */
	int64_t deadline;            /* ns; 0: none */
	void *user;
	/* A blocking call's. */
	bool blocking;
	int finished;
	pthread_cond_t *waiter; /* its thread sleeps until it has ended */
	struct viofs_err *err;
	const char *what, *which, *second; /* for its message: "rename a to b" */
	/* How it stands. */
	bool under_way; /* one of a->under_way */
	bool patient;   /* it may wait for hours: it takes nobody's turn, and holds nobody up */
	bool ended;     /* the result is known */
	bool told;      /* and was taken */
	bool orphan;    /* ... though it isn't at its end; see viofs_op_cancel() */
	bool goes_on;   /* an orphan that has something to give back */
	int ending;     /* why it is to end; nothing is sent any more */
	/* viofs_async_link() */
	struct viofs_op *prior, *follower; /* begins when that has ended; what begins then */
	bool fell_short;                   /* less was done than was asked for */
	bool chain_failed;                 /* a call that it is linked to has failed */
	unsigned int in_flight;            /* requests */
	uint64_t unique;                   /* of the last one */
	int64_t result;
	const char *fault;
	/* The last reply. */
	int error;
	uint32_t size;
	uint64_t reply[VIOFS_REQUEST_REPLY_MAX / 8];
	void *dma; /* where a long one goes; freed at the end */
	/* What the call is about. */
	struct viofs_walk walks[2], *walk;
	struct viofs_file *file;      /* that it is made on, or opens; the caller's, or its own */
	const struct viofs_way *from; /* of its view: where paths begin */
	struct viofs_node *node;      /* with a reference, given up at the end */
	viofs_step *permitted;        /* what comes after a check of where a walk has led */
	struct {
		struct viofs_node *node;
		viofs_judge *judge;
		viofs_step *then;
	} check; /* a permission that is asked about; see check.c */
	/* With a reply that nobody waits for any more: give back what it gave (op->error: nothing).
	 * Return: true: that takes another request. */
	bool (*undo)(struct viofs_op *op);
	/* What is its own while it is under way, a file that it opens or closes say. */
	void *own;
	void (*own_free)(void *own);
	char *kept; /* a copy of a name, of a second path, of iovecs; freed at the end */
	/* What is its own affair, by call. Pointers are the caller's. */
	union {
		struct {
			struct stat *st; /* one of both */
			struct statx *stx;
			unsigned int mask;
			unsigned int sync; /* VIOFS_PATH_*_SYNC */
		} stat;
		struct {
			struct statvfs *out;
		} statfs;
		struct {
			uint32_t mask;
		} access;
		struct fuse_setattr_in setattr;
		struct {
			struct viofs_file **out;
			int oflags;
			mode_t mode;
			int result; /* where RELEASE comes last: what FLUSH, or truncating, said */
		} open;
		struct {
			struct viofs_dir *dir, **out;
			bool data_only;
		} dir;
		struct fuse_mknod_in make; /* mkdir and symlink, too */
		struct {
			uint32_t opcode;
		} remove;
		struct {
			unsigned int flags, how;
		} to; /* rename and link */
		struct {
			char *target;
			size_t size;
		} readlink;
		struct {
			void *value;
			const void *new_value;
			size_t size;
			int how;
		} xattr;
		struct {
			uint64_t offset;
			int whence;
		} lseek;
		struct {
			bool data_only;
		} sync;
		struct {
			int mode;
			uint64_t offset, size;
		} allocate;
		struct {
			struct viofs_file *to;
			uint64_t from_offset, to_offset, size;
		} copy;
		struct {
			struct fuse_lk_in in;
			uint32_t opcode;
			struct flock *out;
		} lock;
		struct viofs_io io;
	};
};

/** viofs_op_new() - an op of @a. Return: 0 and *@out; -ENODEV: a child of fork(2); -ENOMEM. */
int viofs_op_new(struct viofs_async *a, void *user, struct viofs_op **out);
/** viofs_op_for() - it is made for @caller, by whose time it has to end. */
void viofs_op_for(struct viofs_op *op, struct viofs_caller *caller);
/** viofs_op_on() - it is made on an open file, and for whom that was opened. */
void viofs_op_on(struct viofs_op *op, struct viofs_file *file);
/**
 * viofs_op_waits() - before anything that the call it is linked to could change
 * Return: true: @step is run when that has ended, or this has ended with it.
 */
bool viofs_op_waits(struct viofs_op *op, viofs_step *step);
/** viofs_op_complete() - a request of an op has ended. */
void viofs_op_complete(struct viofs_call *call, const struct viofs_completion *c);
/** viofs_op_drop_all() - in a child of fork(2): free what a user has under way, and its events. */
void viofs_op_drop_all(struct viofs_async *a);
/**
 * viofs_op_cancel() - it ends now, with @rc
 * Where a request of it is in flight, it becomes an orphan: its memory stays until that has come
 * back, and what the reply gives (a reference, an open file, a lock) is given back.
 */
void viofs_op_cancel(struct viofs_op *op, int rc);
/** viofs_op_free() - it has ended, and been told. */
void viofs_op_free(struct viofs_op *op);
/**
 * viofs_op_call() - send a request of @op
 * @retry: the step that calls, to be run again where there is no room. @next: goes on with the
 * reply, which for reply_size bytes is in op->reply. With an error @op ends, unless @next is to see
 * errors (viofs_op_call_sees()).
 */
void viofs_op_call(struct viofs_op *op, struct viofs_request *r, viofs_step *retry,
		   viofs_step *next);
void viofs_op_call_sees(struct viofs_op *op, struct viofs_request *r, viofs_step *retry,
			viofs_step *next);
/** viofs_op_send() - any call of @op's. Return: 1; 0: no room, see viofs_op_retry(); -errno. */
int viofs_op_send(struct viofs_op *op, struct viofs_call *call, struct viofs_request *r);
/**
 * viofs_op_turn() - may @op take slots and memory: is it under way, or is there room for one more?
 * Return: false: not yet, see viofs_op_retry(). viofs_op_send() and viofs_op_dma() ask by
 * themselves.
 */
bool viofs_op_turn(struct viofs_op *op);
/** viofs_op_retry() - run @step when something may have come free, or when its turn has come. */
void viofs_op_retry(struct viofs_op *op, viofs_step *step);
/** viofs_op_finish() - the end. */
void viofs_op_finish(struct viofs_op *op, int64_t result);
/** viofs_op_finish_zero() - as a step: 0. */
void viofs_op_finish_zero(struct viofs_op *op);
/** viofs_op_dma() - up to VIOFS_RESERVE bytes of DMA memory, until the op's end or until it waits.
 * Return: false: none now, @op is run again. */
bool viofs_op_dma(struct viofs_op *op, size_t size, viofs_step *retry);
/** viofs_op_dma_free() - before the op's end. */
void viofs_op_dma_free(struct viofs_op *op);
/** viofs_op_keep() - a copy of @text until the op's end. Return: false: no memory, and @op has
 * ended. */
bool viofs_op_keep(struct viofs_op *op, const char *text);

/* A blocking one has ended: to the thread that waits for it. */
static inline void viofs_op_tell(struct viofs_op *op)
{
	if (op->waiter)
		pthread_cond_signal(op->waiter);
	__atomic_store_n(&op->finished, 1, __ATOMIC_RELEASE);
}

static inline struct viofs_request viofs_request_to(uint32_t opcode, const struct viofs_node *node,
						    const void *args, size_t size)
{
	return (struct viofs_request){
		.opcode = opcode,
		.nodeid = node->nodeid,
		.args = args,
		.args_size = (uint32_t)size,
	};
}

#endif
