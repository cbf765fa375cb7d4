/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lanes' threads, from the first to the last. */
#include "relay/team.h"
#include "base/log.h"
#include "relay/entry.h"
#include "relay/lead.h"
#include "relay/refuse.h"
#include "relay/session.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

/* Everything is locked into memory (mlockall), so stacks are small. */
#define STACK_BYTES (128 << 10)
/* How long to wait at the end for a thread that is stuck in a write, after lease.c has waited for
 * the standbys. */
#define STUCK_S 2

void viofs_team_init(struct viofs_team *t)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
}

/* Return: the phase that has come, @phase or a later one. */
static enum viofs_team_phase wait_for(struct viofs_team *t, enum viofs_team_phase phase)
{
	pthread_mutex_lock(&t->lock);
	while (t->phase < phase)
		pthread_cond_wait(&t->changed, &t->lock);
	phase = t->phase;
	pthread_mutex_unlock(&t->lock);
	return phase;
}

static void set_phase(struct viofs_team *t, enum viofs_team_phase phase)
{
	pthread_mutex_lock(&t->lock);
	t->phase = phase;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

/* Threads that this one starts later, its standby, inherit it. */
static void pin(const struct viofs_lane *lane)
{
	cpu_set_t one;

	if (lane->cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET((unsigned int)lane->cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		viofs_warn("lane %u can't be kept on CPU %d: %s", lane->index, lane->cpu,
			   strerror(errno));
}

static void start_entries(struct viofs_lane *lane)
{
	struct viofs_team *t = &lane->relay->team;
	int rc = viofs_entries_start(lane);

	pthread_mutex_lock(&t->lock);
	if (!t->start_rc)
		t->start_rc = rc;
	t->starting--;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

/*
 * The channel is known now. Replies in entries that could block are the kernel's threads'
 * (entry.c), and what still comes over /dev/fuse is the first lane's.
 */
static void start_serving(struct viofs_lane *lane)
{
	if (lane->relay->stats->channel != VIOFS_CHANNEL_URING)
		viofs_lease_start(&lane->lease);
}

static void *lane_main(void *arg)
{
	struct viofs_lane *lane = arg;
	struct viofs_team *t = &lane->relay->team;

	pin(lane);
	viofs_loop_own(&lane->loop); /* if this fails, each wait fails too, and is logged */
	if (wait_for(t, VIOFS_TEAM_STARTING) == VIOFS_TEAM_STARTING)
		start_entries(lane);
	if (wait_for(t, VIOFS_TEAM_SERVING) <= VIOFS_TEAM_ENDED) {
		start_serving(lane);
		viofs_lead(lane);
		viofs_lease_wait(&lane->lease);
	}
	if (wait_for(t, VIOFS_TEAM_REFUSING) == VIOFS_TEAM_REFUSING)
		viofs_refuse(lane);
	return NULL;
}

int viofs_team_start(struct viofs_relay *r, struct viofs_err *err)
{
	pthread_attr_t attr;
	int rc = 0;

	r->outcome.serving = r->lane_count;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (unsigned int i = 1; i < r->lane_count && !rc; i++) {
		rc = -pthread_create(&r->lanes[i].thread, &attr, lane_main, &r->lanes[i]);
		r->lanes[i].started = !rc;
	}
	pthread_attr_destroy(&attr);
	return rc ? viofs_err_set(err, rc, "a worker's thread can't be started: %s", strerror(-rc))
		  : 0;
}

int viofs_team_start_entries(struct viofs_relay *r)
{
	struct viofs_team *t = &r->team;

	t->starting = r->lane_count;
	set_phase(t, VIOFS_TEAM_STARTING);
	start_entries(&r->lanes[0]);
	pthread_mutex_lock(&t->lock);
	while (t->starting)
		pthread_cond_wait(&t->changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
	return t->start_rc;
}

void viofs_team_serve(struct viofs_relay *r)
{
	pin(&r->lanes[0]);
	start_serving(&r->lanes[0]);
	set_phase(&r->team, VIOFS_TEAM_SERVING);
}

void viofs_team_refuse(struct viofs_relay *r)
{
	set_phase(&r->team, VIOFS_TEAM_REFUSING);
}

void viofs_team_end(struct viofs_relay *r)
{
	struct timespec until;

	set_phase(&r->team, VIOFS_TEAM_OVER);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STUCK_S;
	for (unsigned int i = 1; i < r->lane_count; i++)
		if (r->lanes[i].started && !pthread_timedjoin_np(r->lanes[i].thread, NULL, &until))
			r->lanes[i].started = false;
}
