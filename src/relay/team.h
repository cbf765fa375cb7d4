/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lanes together: one session, which starts once and ends once.
 *
 *   GATHERING  threads are there and wait; the first lane (the caller's thread) does INIT alone
 *   STARTING   each lane hands its entries to the kernel
 *   SERVING    each lane for itself, until one stops the team; the first that does says why
 *   ENDED      each lane has answered or drained what it had; nobody touches the device any more
 *   REFUSING   the device was lost: each lane answers EIO
 *   OVER       threads end
 *
 * A lane's
 * thread stays until the team is over, since the kernel takes the entries of a thread that ends
 * back (entry.h).
 */
#ifndef VIOFS_RELAY_TEAM_H
#define VIOFS_RELAY_TEAM_H

#include "base/err.h"

#include <pthread.h>

struct viofs_lane;
struct viofs_relay;

/** enum viofs_team_phase - see above */
enum viofs_team_phase {
	VIOFS_TEAM_GATHERING,
	VIOFS_TEAM_STARTING,
	VIOFS_TEAM_SERVING,
	VIOFS_TEAM_ENDED,
	VIOFS_TEAM_REFUSING,
	VIOFS_TEAM_OVER,
};

/** struct viofs_team - what the lanes have in common */
struct viofs_team {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum viofs_team_phase phase;
	unsigned int starting; /* lanes that have not handed over their entries */
	int start_rc;          /* 0, or why one of them could not start */
};

void viofs_team_init(struct viofs_team *t);

/** viofs_team_start() - the threads of all lanes but the first: they wait. Return: 0 or -errno with
 * @err.
 */
int viofs_team_start(struct viofs_relay *r, struct viofs_err *err);

/** viofs_team_start_entries() - each lane hands its entries over. Return: 0, or the first -errno.
 */
int viofs_team_start_entries(struct viofs_relay *r);

/** viofs_team_serve() - all lanes serve from now on; the caller is to lead the first lane. */
void viofs_team_serve(struct viofs_relay *r);

/** viofs_team_refuse() - all lanes but the first refuse; the caller is to do so for the first lane.
 */
void viofs_team_refuse(struct viofs_relay *r);

/** viofs_team_end() - wait for the threads, which have nothing to do any more. */
void viofs_team_end(struct viofs_relay *r);

#endif
