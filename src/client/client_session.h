/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sessions, views of them, and open files. Private to src/client
 *
 * What viofs_session_open() makes is a share, and a first view of it; viofs_session_view() makes
 * more views. The share is used by all threads: what INIT agreed doesn't change, the cache has a
 * lock, and what the device was found not to know is set once. A view doesn't change. A file is
 * used by all threads too; its position has a lock.
 *
 * For whom a call is made, its caller, is counted: by views, and by what was opened for it.
 */
#ifndef VIOFS_CLIENT_CLIENT_SESSION_H
#define VIOFS_CLIENT_CLIENT_SESSION_H

#include "client/async.h"
#include "client/client_dev.h"
#include "client/nodecache.h"
#include "fuse/init.h"

#define VIOFS_SESSION_LANES (VIOFS_FS_QUEUES_MAX - 1)

/* Of enum viofs_session_flag. */
#define VIOFS_SESSION_FLAGS (uint32_t)(VIOFS_SESSION_CHECK | VIOFS_SESSION_FORCE_SYNC)

/** struct viofs_caller - for whom calls are made, and how long they take at most */
struct viofs_caller {
	int refs;
	uint32_t uid, gid, pid;
	uint32_t timeout_ms; /* 0: never */
	bool check;          /* its permissions, here */
	bool fresh;          /* it wants nothing that is remembered */
};

/** struct viofs_way - a folder, and the way to it from the root: nodes with a reference each */
struct viofs_way {
	struct viofs_node **nodes;
	unsigned int depth;
};

/** struct viofs_share - what all views of a session share */
struct viofs_share {
	struct viofs_dev *dev;
	struct viofs_fuse_agreed agreed;
	uint64_t offered;
	struct viofs_cache cache;
	struct viofs_async lanes[VIOFS_SESSION_LANES];
	unsigned int lane_count;
	uint64_t owners; /* lock owners given out */
	int no_access, no_open, no_opendir, no_flush, no_lseek, no_statx,
		no_readdirplus; /* the device has said ENOSYS */
};

struct viofs_session {
	struct viofs_share *share;
	struct viofs_caller *caller;
	struct viofs_way at; /* where paths without a slash in front begin; none: at the root */
	bool is_view;        /* of viofs_session_view() */
};

struct viofs_file {
	struct viofs_share *s;
	struct viofs_caller *caller; /* with a reference */
	struct viofs_node *node;
	uint64_t fh, owner;
	int oflags;
	bool opened;          /* RELEASE is due */
	pthread_mutex_t lock; /* position */
	uint64_t position;
	char path[]; /* as it was opened, for messages */
};

#endif
