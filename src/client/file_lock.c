/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks of open files.
 *
 * The device keeps the locks, and the open file is their owner. A call that waits for a lock may
 * wait for hours: its op is marked as patient, and only such requests are ever interrupted. All of
 * it is the op's, and is used by the op's thread; the op has references of its own, as file and
 * view may be closed before the answer comes.
 */
#include "client/blocking.h"
#include "client/caller.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

static bool is_lock(const struct fuse_file_lock *lk)
{
	return lk->type == F_UNLCK || ((lk->type == F_RDLCK || lk->type == F_WRLCK) &&
				       lk->start <= lk->end && lk->end <= INT64_MAX);
}

static void got_lock(struct viofs_op *op)
{
	const struct fuse_file_lock *lk =
		&((const struct fuse_lk_out *)(const void *)op->reply)->lk;
	struct flock *out = op->lock.out;

	if (!is_lock(lk)) {
		op->fault = "it answered GETLK with a lock that can't be";
		viofs_op_finish(op, -EIO);
		return;
	}
	out->l_type = (short)lk->type;
	if (lk->type != F_UNLCK) {
		out->l_whence = SEEK_SET;
		out->l_start = (off_t)lk->start;
		out->l_len = lk->end == INT64_MAX ? 0 : (off_t)(lk->end - lk->start + 1);
		out->l_pid = (pid_t)lk->pid;
	}
	viofs_op_finish(op, 0);
}

static void ask_lock(struct viofs_op *op);

static void put_caller(void *own)
{
	viofs_caller_put(own);
}

/* The op has references of its own: file and view may be closed before the answer comes. */
static void hold(struct viofs_op *op, struct viofs_file *file)
{
	viofs_op_on(op, file);
	op->node = file->node;
	viofs_node_get(&op->a->s->cache, op->node);
	op->own = viofs_caller_get(op->caller);
	op->own_free = put_caller;
}

/* Granted after the call was given up. */
static bool undo_lock(struct viofs_op *op)
{
	if (op->error || op->lock.opcode == FUSE_GETLK || op->lock.in.lk.type == F_UNLCK)
		return false;
	op->lock.opcode = FUSE_SETLK;
	op->lock.in.lk.type = F_UNLCK;
	op->ending = 0;
	ask_lock(op);
	return true;
}

static void ask_lock(struct viofs_op *op)
{
	struct viofs_request r =
		viofs_request_to(op->lock.opcode, op->node, &op->lock.in, sizeof(op->lock.in));

	r.reply_size = op->lock.opcode == FUSE_GETLK ? sizeof(struct fuse_lk_out) : 0;
	op->undo = undo_lock;
	op->patient = viofs_request_may_wait(op->lock.opcode);
	viofs_op_call(op, &r, ask_lock,
		      op->lock.opcode == FUSE_GETLK ? got_lock : viofs_op_finish_zero);
}

static int opcode_of(int command)
{
	switch (command) {
	case F_GETLK:
	case F_OFD_GETLK:
		return FUSE_GETLK;
	case F_SETLK:
	case F_OFD_SETLK:
		return FUSE_SETLK;
	case F_SETLKW:
	case F_OFD_SETLKW:
		return FUSE_SETLKW;
	default:
		return -EINVAL;
	}
}

static void start_lock(struct viofs_op *op, struct viofs_file *file, int command,
		       struct flock *lock)
{
	int opcode = opcode_of(command);
	int64_t last;
	int rc = 0;

	if (opcode < 0 || lock->l_whence != SEEK_SET || lock->l_start < 0 || lock->l_len < 0 ||
	    lock->l_start > INT64_MAX - lock->l_len)
		rc = -EINVAL;
	else if (!(op->a->s->agreed.flags & FUSE_POSIX_LOCKS))
		rc = -ENOSYS;
	if (rc) {
		viofs_op_finish(op, rc);
		return;
	}
	hold(op, file);
	op->lock.out = lock;
	/* An unlock waits for nobody, and must not stand behind those who wait for it. */
	op->lock.opcode = opcode == FUSE_SETLKW && lock->l_type == F_UNLCK ? FUSE_SETLK
									   : (unsigned int)opcode;
	last = lock->l_len ? lock->l_start + lock->l_len - 1 : INT64_MAX;
	op->lock.in = (struct fuse_lk_in){
		.fh = file->fh,
		.owner = file->owner,
		.lk = {
			.start = (uint64_t)lock->l_start,
			.end = (uint64_t)last,
			.type = (uint32_t)lock->l_type,
			.pid = op->caller->pid,
		},
	};
	ask_lock(op);
}

int viofs_file_lock(struct viofs_file *file, int command, struct flock *lock, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "lock", file->path, err, &op);

	if (rc)
		return rc;
	start_lock(op, file, command, lock);
	return (int)viofs_op_end(op);
}

int viofs_file_lock_async(struct viofs_async *a, struct viofs_file *file, int command,
			  struct flock *lock, void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_lock(op, file, command, lock);
	return rc;
}

static void start_flock(struct viofs_op *op, struct viofs_file *file, int operation)
{
	int what = operation & ~LOCK_NB;

	if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN) {
		viofs_op_finish(op, -EINVAL);
		return;
	}
	if (!(op->a->s->agreed.flags & FUSE_FLOCK_LOCKS)) {
		viofs_op_finish(op, -ENOSYS);
		return;
	}
	hold(op, file);
	op->lock.opcode = operation & LOCK_NB || what == LOCK_UN ? FUSE_SETLK : FUSE_SETLKW;
	op->lock.in = (struct fuse_lk_in){
		.fh = file->fh,
		.owner = file->owner,
		.lk_flags = FUSE_LK_FLOCK,
		.lk = {
			.end = INT64_MAX,
			.type = what == LOCK_SH ? F_RDLCK : what == LOCK_EX ? F_WRLCK : F_UNLCK,
			.pid = op->caller->pid,
		},
	};
	ask_lock(op);
}

int viofs_file_flock(struct viofs_file *file, int operation, struct viofs_err *err)
{
	struct viofs_op *op;
	int rc = viofs_op_begin_on(file->s, file->caller, "flock", file->path, err, &op);

	if (rc)
		return rc;
	start_flock(op, file, operation);
	return (int)viofs_op_end(op);
}

int viofs_file_flock_async(struct viofs_async *a, struct viofs_file *file, int operation,
			   void *user)
{
	struct viofs_op *op;
	int rc = viofs_op_new(a, user, &op);

	if (!rc)
		start_flock(op, file, operation);
	return rc;
}
