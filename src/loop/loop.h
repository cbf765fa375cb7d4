/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for several descriptors at once: the kernel's, the device's, other threads'.
 *
 * Two back ends do the same. io_uring (loop_uring.c) keeps one-shot requests in its ring between
 * waits, so that a wait is one system call, and takes the commands of FUSE over io_uring as well
 * (loop_uring.h). epoll (loop_epoll.c) is for where io_uring is not allowed or not there.
 *
 * A descriptor fires once for each wait that it ends. Eventfds are counters: with io_uring they are
 * read, with epoll they are not, since a read could block where a back end has the same eventfd.
 *
 * One thread waits. Another that takes over from it, since it is stuck elsewhere, calls
 * viofs_loop_adopt() first.
 */
#ifndef VIOFS_LOOP_LOOP_H
#define VIOFS_LOOP_LOOP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define VIOFS_LOOP_FDS 16U

/** enum viofs_loop_kind - what waits */
enum viofs_loop_kind {
	VIOFS_LOOP_AUTO, /* io_uring; epoll where there is none */
	VIOFS_LOOP_URING,
	VIOFS_LOOP_EPOLL,
};

/** enum viofs_loop_mode - what is waited for, of one descriptor */
enum viofs_loop_mode {
	VIOFS_LOOP_INPUT,   /* input: fires in each wait until somebody has read it */
	VIOFS_LOOP_SHARED,  /* the same, but others wait for it too, and one of them is enough */
	VIOFS_LOOP_COUNTER, /* an eventfd was signalled since it last fired */
};

/** struct viofs_loop_fd - one descriptor; written by loop.h's functions and the back ends only */
struct viofs_loop_fd {
	int fd; /* -1: removed */
	enum viofs_loop_mode mode;
	bool disabled; /* not to be waited for now */
	bool armed;    /* io_uring: its ring has a request for it. epoll: it is registered */
	bool has_fired;
	bool was_silent; /* epoll: the last wait found no input */
	uint64_t value;  /* a counter: how often it was signalled, as far as is known */
};

struct viofs_loop_uring;

/** struct viofs_loop - all of them, and what waits */
struct viofs_loop {
	const struct viofs_loop_ops *ops; /* NULL: not open */
	struct viofs_loop_uring *uring;   /* io_uring's part, or NULL */
	int epoll_fd;                     /* epoll's part, or -1 */
	bool alone;                       /* io_uring: the ring is one thread's own */
	struct viofs_loop_fd fds[VIOFS_LOOP_FDS];
	unsigned int count;
	/* Where the kernel writes that it has something: memory of the ring, or one zero. */
	const unsigned int *head, *tail, *flags;
	unsigned int flag;
};

/** struct viofs_loop_ops - a back end */
struct viofs_loop_ops {
	void (*close)(struct viofs_loop *l);
	int (*own)(struct viofs_loop *l);
	void (*adopt)(struct viofs_loop *l);
	void (*remove)(struct viofs_loop *l, struct viofs_loop_fd *f);
	void (*arm)(struct viofs_loop *l, struct viofs_loop_fd *f);
	int (*flush)(struct viofs_loop *l);
	int (*wait)(struct viofs_loop *l, int64_t timeout_ns);
};

/**
 * viofs_loop_choose() - settle AUTO, by trying io_uring as lanes have it
 * Logs that there is none. Context: the process that will wait, or one with the same rights; it may
 * open descriptors. Return: 0 and *@kind is one of the others; -errno with @err: URING was asked
 * for, or is needed (@needs_uring), and can't be had.
 */
int viofs_loop_choose(enum viofs_loop_kind *kind, bool needs_uring, struct viofs_err *err);

/** viofs_loop_name() - "io_uring", "epoll". */
const char *viofs_loop_name(enum viofs_loop_kind kind);

/** viofs_loop_explain() - why there is no io_uring, as far as can be seen. Return: @rc, negative.
 */
int viofs_loop_explain(int rc, struct viofs_err *err);

/** viofs_loop_open() - with no descriptors yet. Return: 0 or -errno. */
int viofs_loop_open(struct viofs_loop *l, enum viofs_loop_kind kind);

/**
 * viofs_loop_open_restricted() - one that can do no more than wait for descriptors and read them
 * @commands: of FUSE over io_uring, that are under way at one time; 0: none, and their opcode is
 * not allowed. epoll: must be 0.
 * @alone: io_uring: a ring that is one thread's own, where the kernel can (6.1). What it waits for
 * when another thread takes over can't be cancelled: no descriptor may be shared, then.
 * Return: 0 or -errno; -EINVAL: the kernel is older than 5.10 (with @commands: than 5.19).
 */
int viofs_loop_open_restricted(struct viofs_loop *l, enum viofs_loop_kind kind,
			       unsigned int commands, bool alone);

/** viofs_loop_own() - by the thread that is to use a restricted loop, before anything else.
 * Return: 0 or -errno. */
int viofs_loop_own(struct viofs_loop *l);

/** viofs_loop_close() - one that was never opened, but zeroed, is fine. */
void viofs_loop_close(struct viofs_loop *l);

/** viofs_loop_add() - wait for @fd from now on. Return: its index; -ENOSPC. */
int viofs_loop_add(struct viofs_loop *l, int fd, enum viofs_loop_mode mode);

/** viofs_loop_enable() - wait for it, or don't: from the next wait on. */
void viofs_loop_enable(struct viofs_loop *l, unsigned int index, bool enable);

/** viofs_loop_remove() - no longer wait for it; before it is closed. */
void viofs_loop_remove(struct viofs_loop *l, unsigned int index);

/** viofs_loop_put() - @fd in place of one that was removed. It may fire once with nothing there. */
void viofs_loop_put(struct viofs_loop *l, unsigned int index, int fd);

/**
 * viofs_loop_arm() - io_uring: wait for it from the next viofs_loop_flush() on, as during a wait
 * For a thread that never waits: it learns at no cost when the descriptor fires. epoll: does
 * nothing.
 */
void viofs_loop_arm(struct viofs_loop *l, unsigned int index);

/** viofs_loop_adopt() - another thread waits from now on; the one before may be stuck elsewhere.
 */
void viofs_loop_adopt(struct viofs_loop *l);

/**
 * viofs_loop_wait() - until a descriptor fires or @timeout_ns is over (< 0: no time-out)
 * What fired before is forgotten. Return: 0, viofs_loop_fired() says which, if any; -ETIME; or
 * -errno, not for want of memory, which passes.
 */
int viofs_loop_wait(struct viofs_loop *l, int64_t timeout_ns);

/**
 * viofs_loop_flush() - submit commands, and see what has fired meanwhile; no waiting
 * No system call where there is nothing to be submitted or to be done. Return: 0 or -errno.
 */
int viofs_loop_flush(struct viofs_loop *l);

/** viofs_loop_fired() - how often it has fired since it was last asked; 0: it has not. */
static inline uint64_t viofs_loop_fired(struct viofs_loop *l, unsigned int index)
{
	struct viofs_loop_fd *f = &l->fds[index];
	bool fired = f->has_fired;

	f->has_fired = false;
	if (!fired)
		return 0;
	return f->mode == VIOFS_LOOP_COUNTER ? f->value : 1;
}

/** viofs_loop_is_silent() - is it known, without a system call, that there is no input? */
static inline bool viofs_loop_is_silent(const struct viofs_loop *l, unsigned int index)
{
	return l->uring && l->fds[index].armed;
}

/** viofs_loop_was_silent() - had it no input when the last wait ended? The next wait hears of it.
 */
static inline bool viofs_loop_was_silent(const struct viofs_loop *l, unsigned int index)
{
	return viofs_loop_is_silent(l, index) || l->fds[index].was_silent;
}

/** viofs_loop_has_news() - would viofs_loop_flush() find something? No system call. */
static inline bool viofs_loop_has_news(const struct viofs_loop *l)
{
	return __atomic_load_n(l->tail, __ATOMIC_ACQUIRE) != *l->head ||
	       __atomic_load_n(l->flags, __ATOMIC_RELAXED) & l->flag;
}

#endif
