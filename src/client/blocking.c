/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Blocking calls: threads that share a lane, one of which leads.
 *
 * An op is the thread's that called, which drives it under the lane's lock; the leader drives the
 * ops of all who wait. If nobody leads and a follower's call has not ended, some thread is on its
 * way to lead, or to wake a follower: every thread that leaves the lane while nobody leads wakes
 * one. It is not enough that a leader does so when it goes, since the follower that it woke may
 * have learnt by then that its own call has ended. A test goes through all interleavings of three
 * threads (tests/unit/test_client_leader.c).
 */
#include "client/blocking.h"
#include "base/barrier.h"
#include "base/util.h"
#include "client/child.h"
#include "client/waiting.h"

#include <errno.h>
#include <string.h>

/* A follower looks this often, then sleeps until it is woken. */
#ifndef FOLLOWER_SPINS /* fewer in a test of all interleavings */
#define FOLLOWER_SPINS 2000
#endif

/* A thread that waits for its op, and may be made leader. */
struct viofs_follower {
	struct viofs_op *op;
	pthread_cond_t cond;
	struct viofs_follower *next;
};

static struct viofs_async *lane_of(struct viofs_share *s)
{
	static unsigned int threads;
	static _Thread_local unsigned int mine;

	if (!mine)
		mine = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
	return &s->lanes[mine % s->lane_count];
}

int viofs_op_begin_on(struct viofs_share *s, struct viofs_caller *caller, const char *what,
		      const char *which, struct viofs_err *err, struct viofs_op **out)
{
	struct viofs_async *a;
	int rc;

	/* Before any lock: in a child of fork(2) it might never be given back. */
	if (viofs_dev_is_elsewhere(s->dev))
		return viofs_dev_elsewhere(err, what, which);
	a = lane_of(s);
	pthread_mutex_lock(&a->lock);
	rc = viofs_op_new(a, NULL, out);
	if (rc) {
		pthread_mutex_unlock(&a->lock);
		return viofs_err_set(err, rc, "%s %s: out of memory.", what, which);
	}
	(*out)->blocking = true;
	(*out)->err = err;
	(*out)->what = what;
	(*out)->which = which;
	viofs_op_for(*out, caller);
	return 0;
}

int viofs_op_begin(const struct viofs_session *view, const char *what, const char *which,
		   struct viofs_err *err, struct viofs_op **out)
{
	int rc = viofs_op_begin_on(view->share, view->caller, what, which, err, out);

	if (!rc)
		(*out)->from = &view->at;
	return rc;
}

static bool is_finished(const struct viofs_op *op)
{
	return __atomic_load_n(&op->finished, __ATOMIC_ACQUIRE);
}

/* The lock is held, except while asleep. */
static void lead(struct viofs_async *a, struct viofs_op *op)
{
	struct viofs_wait w;

	a->leader = true;
	viofs_wait_start(&w, a->q, -1);
	while (!is_finished(op)) {
		int64_t ns;

		if (viofs_async_turn(a) > 0 || is_finished(op))
			continue;
		ns = viofs_wait_prepare(&w, a->q);
		if (ns)
			viofs_async_forget(a, true);
		pthread_mutex_unlock(&a->lock);
		viofs_wait_sleep(a->q, ns);
		pthread_mutex_lock(&a->lock);
	}
	a->leader = false;
}

static void wake_a_follower(const struct viofs_async *a)
{
	struct viofs_follower *f = a->followers;

	while (f && is_finished(f->op))
		f = f->next;
	if (f)
		pthread_cond_signal(&f->cond);
}

static void follow(struct viofs_async *a, struct viofs_op *op)
{
	struct viofs_follower me = { .op = op }, **at;

	for (int i = 0; i < FOLLOWER_SPINS && !is_finished(op) &&
			__atomic_load_n(&a->leader, __ATOMIC_RELAXED);
	     i++) {
		pthread_mutex_unlock(&a->lock);
		viofs_cpu_relax();
		pthread_mutex_lock(&a->lock);
	}
	pthread_cond_init(&me.cond, NULL);
	me.next = a->followers;
	a->followers = &me;
	op->waiter = &me.cond;
	while (!is_finished(op) && a->leader)
		pthread_cond_wait(&me.cond, &a->lock);
	op->waiter = NULL;
	for (at = &a->followers; *at != &me; at = &(*at)->next)
		;
	*at = me.next;
	pthread_cond_destroy(&me.cond);
}

static const char *whose_memory(const struct viofs_op *op)
{
	if (op->result != -ENOMEM)
		return "";
	return op->error == -ENOMEM ? " It is the device's memory that is short."
				    : " It is the program's memory that is short, not "
				      "viofs_dev_options.dma_size.";
}

static void say(const struct viofs_op *op)
{
	const char *failed = viofs_dev_failed(op->a->s->dev);
	const char *to = op->second ? " to " : "", *second = op->second ? op->second : "";
	int rc = (int)op->result;

	if (op->fault)
		viofs_err_set(op->err, rc, "%s %s%s%s: %s. The device's fault: %s.", op->what,
			      op->which, to, second, strerror(-rc), op->fault);
	else if (failed && (rc == -ENODEV || rc == -EIO))
		viofs_err_set(op->err, rc, "%s %s%s%s: the device %s.", op->what, op->which, to,
			      second, failed);
	else
		viofs_err_set(op->err, rc, "%s %s%s%s: %s.%s", op->what, op->which, to, second,
			      strerror(-rc), whose_memory(op));
}

int64_t viofs_op_end(struct viofs_op *op)
{
	struct viofs_async *a = op->a;
	int64_t result;

	while (!is_finished(op)) {
		if (a->leader)
			follow(a, op);
		else
			lead(a, op);
	}
	if (!a->leader)
		wake_a_follower(a);
	result = op->result;
	if (result < 0)
		say(op);
	viofs_op_free(op);
	pthread_mutex_unlock(&a->lock);
	return result;
}
