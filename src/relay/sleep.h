/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for the kernel, the device and other threads at once, on an io_uring.
 *
 * The same ring takes a channel's commands, so that one system call submits them and waits for
 * anything. Such a command's user_data is odd; its completion is handed to `other`.
 *
 * The kernel completes a request in the thread that submitted it, and cheapest where that is the
 * ring's only one (viofs_sleep_own()). A thread that is stuck completes none: who takes over from
 * it must call viofs_sleep_adopt(), and goes on with a ring that any thread may use.
 */
#ifndef VIOFS_RELAY_SLEEP_H
#define VIOFS_RELAY_SLEEP_H

#include "base/err.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#define VIOFS_SLEEP_FDS 16U
/* What viofs_relay_prepare() adds first: /dev/fuse. */
#define VIOFS_SLEEP_FUSE 0U

/** struct viofs_sleep_fd - one descriptor that can wake us */
struct viofs_sleep_fd {
	int fd;           /* -1: no longer */
	bool counter;     /* an eventfd: read it; else: poll it for input */
	bool shared;      /* others poll it too, and one of us is enough */
	bool paused;      /* not to be waited for now */
	bool outstanding; /* a request for it is in the ring */
	bool woke;        /* it fired since the last wait */
	uint64_t value;   /* an eventfd's count lands here */
};

/** typedef viofs_sleep_other - a command completed; @data: its user_data. Called while reaping. */
typedef void viofs_sleep_other(void *arg, uint64_t data, int res);

/** struct viofs_sleep - the io_uring and what it waits for */
struct viofs_sleep {
	struct io_uring *ring; /* one of these */
	struct io_uring first, spare;
	bool open;
	bool alone; /* the first is one thread's own; others have the spare one */
	struct viofs_sleep_fd fds[VIOFS_SLEEP_FDS];
	unsigned int count;
	uint32_t epoch; /* counts threads that took over */
	viofs_sleep_other *other;
	void *other_arg;
};

/** viofs_sleep_init() - Return: 0 or -errno (-ENOSYS, -EPERM: io_uring is switched off). */
int viofs_sleep_init(struct viofs_sleep *s);
/** viofs_sleep_say() - why there is no io_uring, as far as can be seen. Return: @rc, negative. */
int viofs_sleep_say(int rc, struct viofs_err *err);

/**
 * viofs_sleep_init_restricted() - a ring that can do no more than wait for descriptors and read
 * them
 * @commands: that a channel has in it at one time; 0: none, and its opcode is not allowed.
 * @alone: one thread's own, where the kernel can (6.1). What it waits for when another takes over
 * can't be cancelled: nothing that is shared, then. An io_uring is a way round a seccomp filter:
 * whoever may submit can open files and connect sockets. This ring takes the opcodes that sleep.c
 * uses and channels' commands, and nothing can be registered with it. Return: 0 or -errno; -EINVAL:
 * the kernel is older than 5.10 (with @commands: than 5.19).
 */
int viofs_sleep_init_restricted(struct viofs_sleep *s, unsigned int commands, bool alone);
/** viofs_sleep_own() - by the thread that is to use a restricted ring, before anything else.
 * Return: 0 or -errno. */
int viofs_sleep_own(struct viofs_sleep *s);
void viofs_sleep_fini(struct viofs_sleep *s);

/** viofs_sleep_add() - wait for @fd from now on. Return: its index, or -ENOSPC. */
int viofs_sleep_add(struct viofs_sleep *s, int fd, bool counter);

/** viofs_sleep_add_shared() - the same, to be polled; @shared: input for one wakes one of those who
 * do so. */
int viofs_sleep_add_shared(struct viofs_sleep *s, int fd, bool shared);

/** viofs_sleep_remove() - no longer wait for what viofs_sleep_add() gave @index for, and has just
 * fired. */
void viofs_sleep_remove(struct viofs_sleep *s, unsigned int index);

/**
 * viofs_sleep_adopt() - another thread waits from now on
 * Requests of the one before are made again, and cancelled, which takes effect when that thread
 * gets on.
 */
void viofs_sleep_adopt(struct viofs_sleep *s);

/** viofs_sleep_command() - an SQE of 128 bytes for a command; viofs_sleep_flush() or _wait()
 * submits it. */
struct io_uring_sqe *viofs_sleep_command(struct viofs_sleep *s);

/** viofs_sleep_has_news() - would viofs_sleep_flush() find something? No system call. */
static inline bool viofs_sleep_has_news(const struct viofs_sleep *s)
{
	return io_uring_cq_ready(s->ring) ||
	       IO_URING_READ_ONCE(*s->ring->sq.kflags) & IORING_SQ_TASKRUN;
}

/**
 * viofs_sleep_flush() - submit, let the kernel do what it has put off, take completions; no waiting
 * No system call where there is nothing to be submitted or to be done. Return: 0 or -errno.
 */
int viofs_sleep_flush(struct viofs_sleep *s);

/** viofs_sleep_arm() - what viofs_sleep_add() gave @index for is waited for from the next
 * viofs_sleep_flush() on, as during a sleep. */
void viofs_sleep_arm(struct viofs_sleep *s, unsigned int index);

/**
 * viofs_sleep_wait() - until a descriptor fires or @timeout_ns is over (< 0: no time-out)
 * One-shot requests stay in the ring between waits, so a wait is one system call.
 * Return: 0, fds[].woke says which; -ETIME; or -errno.
 */
int viofs_sleep_wait(struct viofs_sleep *s, int64_t timeout_ns);

#endif
