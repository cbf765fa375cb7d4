/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sessions and open files. Private to src/client
 *
 * A session is shared by all threads: what INIT agreed doesn't change, the cache has a lock, and
 * what the device was found not to know is set once. A file is shared too; its position has a lock.
 */
#ifndef VIOFS_CLIENT_CLIENT_SESSION_H
#define VIOFS_CLIENT_CLIENT_SESSION_H

#include "client/async.h"
#include "client/client_dev.h"
#include "client/nodecache.h"
#include "fuse/init.h"

#define VIOFS_LANES_MAX (VIOFS_FS_QUEUES_MAX - 1)

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

#endif
