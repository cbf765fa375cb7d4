/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine of calls on files and paths. Private to src/client
 *
 * A call is an op: a chain of steps, each of which sends one request and names the step that goes
 * on with the reply. Blocking calls and their asynchronous twins are the same op; only who drives
 * it and where its end is told differ. A step that can't send, since the queue or the DMA memory is
 * full, is run again later: up to its request it must do nothing that can't be done twice.
 *
 * An op belongs to a struct viofs_async: the user's, or one of the session's lanes for blocking
 * calls, which threads share under its lock. There one of the waiting threads leads: it polls, and
 * sleeps, for all; when its own op has ended it makes another one leader. Nobody holds the lock
 * while asleep.
 *
 * Locks: a lane's, then the session's (the cache), which is held shortly and never while sending.
 */
#ifndef VIOFS_CLIENT_ENGINE_H
#define VIOFS_CLIENT_ENGINE_H

#include "client/client_dev.h"
#include "client/nodecache.h"
#include "client/waiting.h"
#include "fuse/init.h"

#include <viofs/viofs.h>

#define VIOFS_LANES_MAX (VIOFS_FS_QUEUES_MAX - 1)
/* Requests of one read or write in flight at once. */
#define VIOFS_IO_PARALLEL 8U

struct viofs_op;
typedef void viofs_step(struct viofs_op *op);

/** struct viofs_call - a request in flight: what to do when it comes back */
struct viofs_call {
	void (*done)(struct viofs_call *call, const struct viofs_completion *c);
};

/** enum viofs_walk_to - what of a path is looked for */
enum viofs_walk_to {
	VIOFS_TO_NODE,   /* walk.node */
	VIOFS_TO_PARENT, /* walk.node is the folder, walk.name the last component */
	VIOFS_TO_NAME,   /* as TO_PARENT; the last component exists, and is known to the device:
			    walk.named */
	VIOFS_TO_MAYBE,  /* as TO_NODE; where it doesn't exist `absent`, and as TO_PARENT */
};

/** struct viofs_walk - on the way along a path; see walk.c */
struct viofs_walk {
	char *path, *rest;
	struct viofs_node **stack; /* from the root on, with a reference each */
	unsigned int depth, room;
	unsigned int flags, links;
	enum viofs_walk_to to;
	bool last, must_be_folder, absent, odd; /* odd: the last component is ".", ".." or none */
	char name[NAME_MAX + 1];
	viofs_step *then;
	struct viofs_node *node;
	struct viofs_node *named; /* with a reference */
};

/** struct viofs_io - a read or write of any size */
struct viofs_io {
	struct viofs_file *file;
	struct iovec *iov, one; /* iov: allocated where there are several */
	unsigned int iov_count;
	uint64_t offset, size;
	uint64_t issued, end; /* bytes sent so far; bytes good so far as is known */
	unsigned int in_flight;
	int error; /* at `end` */
	bool write;
};

/** struct viofs_op - a call under way */
struct viofs_op {
	struct viofs_call call; /* first */
	struct viofs_async *a;
	struct viofs_op *next; /* free, waiting for room, or ended */
	viofs_step *step;
	void *user;
	pthread_cond_t *waiter; /* blocking: somebody sleeps until it has ended */
	bool blocking;
	bool under_way; /* one of a->under_way */
	bool patient;   /* it may wait for hours: it takes nobody's turn, and holds nobody up */
	int finished;
	int64_t result;
	const char *fault;
	int error; /* of the last reply */
	uint32_t size;
	uint64_t reply[VIOFS_REQUEST_REPLY_MAX / 8];
	void *dma; /* freed at the end */
	struct viofs_walk walks[2], *walk;
	struct viofs_io io;
	/* What a call needs until its end; which of them is its own affair. */
	struct viofs_file *file, *other;
	struct viofs_dir *dir;
	struct viofs_node *node; /* with a reference, given up at the end */
	char *text;              /* allocated, freed at the end */
	void *out;
	size_t out_size;
	uint64_t number, number2;
	int how;
	unsigned int mask;
	union {
		struct fuse_setattr_in setattr;
		struct fuse_mknod_in mknod;
		struct fuse_lk_in lock;
	} in;
};

/** struct viofs_async - see above */
struct viofs_async {
	struct viofs_session *s;
	struct viofs_queue *q;
	struct viofs_op *free, *waiting, **waiting_tail, *ended, **ended_tail;
	struct viofs_op *locks, **locks_tail; /* as waiting, of patient ones */
	struct viofs_op *later,
		**later_tail;       /* whose turn comes when fewer than max are under way */
	struct viofs_chunk *chunks; /* free ones */
	uint8_t *reserve;           /* see scratch.c */
	bool reserve_taken;
	unsigned int pending, ended_count;
	unsigned int under_way,
		max; /* ops that have begun to take what there is little of; 0 = any number */
	unsigned int in_flight; /* requests */
	bool closing;           /* what may wait for ever is given up */
	bool gone;              /* nothing is sent any more; what is in flight keeps its memory */
	/* of a lane */
	pthread_mutex_t lock;
	bool leader;
	struct viofs_follower *followers;
};

struct viofs_session {
	struct viofs_dev *dev;
	uint32_t uid, gid, pid;
	struct viofs_fuse_agreed agreed;
	uint64_t offered;
	struct viofs_cache cache;
	struct viofs_async lanes[VIOFS_LANES_MAX];
	unsigned int lane_count;
	uint64_t owners; /* lock owners given out */
	int no_access, no_open, no_opendir, no_flush, no_lseek, no_statx,
		no_readdirplus; /* the device has said ENOSYS */
};

struct viofs_file {
	struct viofs_session *s;
	struct viofs_node *node;
	uint64_t fh, owner;
	int oflags;
	bool opened;          /* RELEASE is due */
	pthread_mutex_t lock; /* position */
	uint64_t position;
};

/* engine.c */
/** viofs_op_new() - an op of @a, or NULL: no memory. */
struct viofs_op *viofs_op_new(struct viofs_async *a, void *user);
/** viofs_op_begin() - of a lane of @s, whose lock is then held. */
struct viofs_op *viofs_op_begin(struct viofs_session *s);
/** viofs_op_end() - wait for it; "@what @which: reason" in @err. Return: its result. @op NULL:
 * -ENOMEM. */
int64_t viofs_op_end(struct viofs_op *op, struct viofs_err *err, const char *what,
		     const char *which);
/** viofs_op_ended() - of a lane's, whose lock is held: wake who waits for it. */
void viofs_op_ended(struct viofs_op *op);
/**
 * viofs_op_call() - send a request of @op
 * @retry: the step that calls, to be run again where there is no room. @next: goes on with the
 * reply, which for reply_size bytes is in op->reply. With an error @op ends, unless @next is to see
 * errors (@sees).
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
/** viofs_async_init(), viofs_async_fini() - embedded. */
int viofs_async_init(struct viofs_async *a, struct viofs_session *s, unsigned int max,
		     struct viofs_err *err);
void viofs_async_fini(struct viofs_async *a);
/** viofs_async_complete() - requests have ended. */
void viofs_async_complete(struct viofs_async *a, const struct viofs_completion *c, unsigned int n);
/** viofs_async_turn() - completions, steps, and what waits. Return: how many completions. */
int viofs_async_turn(struct viofs_async *a);
/** viofs_async_forget() - send FORGETs that are due; @all: not only a full batch. */
void viofs_async_forget(struct viofs_async *a, bool all);

/* scratch.c */
/** viofs_reserve_init() - Return: 0; -ENOMEM: the pool is empty. */
int viofs_reserve_init(struct viofs_async *a, struct viofs_err *err);
void viofs_reserve_fini(struct viofs_async *a);
/** viofs_reserve_take() - Return: VIOFS_RESERVE bytes, or NULL: a request of @a in flight has them.
 */
void *viofs_reserve_take(struct viofs_async *a);
/** viofs_scratch_free() - the reserve, or memory of the pool. */
void viofs_scratch_free(struct viofs_async *a, void *memory);

/* walk.c */
/** viofs_walk() - resolve @path into op->walk, then run @then; ends @op where that fails. */
void viofs_walk(struct viofs_op *op, struct viofs_walk *w, const char *path, unsigned int flags,
		enum viofs_walk_to to, viofs_step *then);
void viofs_walk_fini(struct viofs_op *op, struct viofs_walk *w);
/** viofs_attr_can_be() - a type that there is, and a size that off_t holds. */
bool viofs_attr_can_be(const struct fuse_attr *a);
/** viofs_entry_take() - an entry of a reply: @out with a reference. Return: 0, -EIO, -ENOENT,
 * -ENOMEM. */
int viofs_entry_take(struct viofs_session *s, const struct fuse_entry_out *e,
		     struct viofs_node **out);

/* path_attr.c */
void viofs_attr_to_stat(const struct fuse_attr *a, struct stat *st);
/** viofs_op_setattr() - op->in.setattr of op->node; ends @op. */
void viofs_op_setattr(struct viofs_op *op);
/** viofs_op_getattr() - of op->node, by op->file where it has one; op->out is a struct stat; ends
 * @op. */
void viofs_op_getattr(struct viofs_op *op);
/** viofs_set_times() - into @in from utimensat's. Return: 0, -EINVAL. */
int viofs_set_times(struct fuse_setattr_in *in, const struct timespec *times);

/* file_io.c */
struct viofs_chunk;
void viofs_chunks_fini(struct viofs_async *a);
void viofs_io_start(struct viofs_op *op, struct viofs_file *file, bool write,
		    const struct iovec *iov, int count, uint64_t offset);

/* Bodies of the two twins of a call: @start is an expression that uses `op`. */
#define VIOFS_BLOCKING(session, err, what, which, start)                                           \
	struct viofs_op *op;                                                                       \
                                                                                                   \
	if (viofs_dev_is_elsewhere((session)->dev))                                                \
		return viofs_dev_elsewhere(err, what, which);                                      \
	op = viofs_op_begin(session);                                                              \
	if (op)                                                                                    \
		(start);                                                                           \
	return viofs_op_end(op, err, what, which)
#define VIOFS_ASYNC(a, user, start)                                                                \
	struct viofs_op *op;                                                                       \
                                                                                                   \
	if (viofs_dev_is_elsewhere((a)->s->dev))                                                   \
		return -ENODEV;                                                                    \
	op = viofs_op_new(a, user);                                                                \
	if (!op)                                                                                   \
		return -ENOMEM;                                                                    \
	(start);                                                                                   \
	return 0

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
