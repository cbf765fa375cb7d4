/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session with a device: FUSE_INIT, cached names, and what calls on paths and files need. */
#ifndef VIOFS_CLIENT_H
#define VIOFS_CLIENT_H

#include <viofs/fsdev.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct viofs_session - opaque
 * Blocking calls (viofs_path_*, viofs_file_*, viofs_dir_*) may be made by any number of threads at
 * once, but on an open directory by one at a time. Each uses one of the session's queues, of which
 * there are as many as the device has request queues.
 */
struct viofs_session;

/** struct viofs_cred - whom a call is made for */
struct viofs_cred {
	uint32_t uid, gid, pid;
	uint32_t reserved[3];
};

/** enum viofs_session_flag - of a session, or of a view */
enum viofs_session_flag {
	/**
	 * Permissions are checked here, by owners and modes, before the device is asked: as the
	 * kernel does it for a mount with default_permissions. Without it the device alone decides,
	 * and most check nothing. It knows no ACLs, and no further groups of the user's; it keeps
	 * nobody off who can change the program, and costs a GETATTR where attributes hold no more.
	 */
	VIOFS_SESSION_CHECK = 1 << 0,
	/**
	 * Nothing is taken from what is remembered: all calls by names are made with
	 * VIOFS_PATH_FORCE_SYNC, and VIOFS_PATH_DONT_SYNC is -EINVAL. For shares that others
	 * change.
	 */
	VIOFS_SESSION_FORCE_SYNC = 1 << 1
};

/** struct viofs_session_options - fill it in with viofs_session_options_init() */
struct viofs_session_options {
	size_t size;          /* of this struct */
	uint32_t uid, gid;    /* whom the device does everything for; those of the process */
	uint32_t pid;         /* the process */
	uint32_t cache_names; /* names remembered, as long as the device says they hold; 4096; 0 =
				 4096 */
	uint32_t init_timeout_ms; /* for the answer to FUSE_INIT; 30000 */
	uint64_t init_flags; /* FUSE_INIT flags (flags | flags2 << 32) to offer; 0 = all the library
				knows */
	uint32_t timeout_ms; /* a call that hasn't ended after so long ends with -ETIMEDOUT, as
				viofs_async_cancel() has it; 0 = never */
	uint32_t flags;      /* of enum viofs_session_flag; 0 */
};

/** viofs_session_options_init() - the defaults of a session. @size: sizeof(*options), as for
 * viofs_dev_options_init(). */
void viofs_session_options_init(struct viofs_session_options *options, size_t size);

/**
 * viofs_session_open() - FUSE_INIT, and the share can be worked on
 * @options: NULL = the defaults. A device has one session; after viofs_session_close() the device
 * has to be closed and opened for the next. Context: any thread. Return: 0 and *@out; -EBUSY: the
 * device has or had a session; -ETIMEDOUT, -EPROTO: the device's answer; -ENOMEM; -ENODEV; others
 * of the device's, with @err.
 */
int viofs_session_open(struct viofs_dev *dev, const struct viofs_session_options *options,
		       struct viofs_session **out, struct viofs_err *err);

/**
 * viofs_session_close() - end a session or a view: FORGET what is known, FUSE_DESTROY
 * NULL is fine.
 * Files, directories, views and asynchronous users are to be closed before. Of a view only the view
 * is closed, and with it no file: calls by it must have ended.
 * Waits for a bounded time for the answer to DESTROY, which not every device gives.
 */
void viofs_session_close(struct viofs_session *session);

/** viofs_session_dev() - the device that the session is with. */
struct viofs_dev *viofs_session_dev(struct viofs_session *session);

struct viofs_dir;

/** struct viofs_view_options - fill it in with viofs_view_options_init() */
struct viofs_view_options {
	size_t size;            /* of this struct */
	uint32_t flags;         /* of enum viofs_session_flag */
	uint32_t timeout_ms;    /* as viofs_session_options.timeout_ms */
	struct viofs_cred cred; /* whom its calls are made for */
	struct viofs_dir *at;   /* where its paths begin that have no slash in front, as it was when
				   it was opened; NULL = where the session's begin */
};

/** viofs_view_options_init() - what a view takes over of a session. @size: sizeof(*options). */
void viofs_view_options_init(struct viofs_session *session, struct viofs_view_options *options,
			     size_t size);

/**
 * viofs_session_view() - the same session for somebody else, or from somewhere else
 * All calls take a view where they take a session: they are then made for its user, take no longer
 * than its time, and their paths begin at its directory. It shares everything else with @session.
 * A file or directory that is opened by it keeps that, for all calls on it. It costs some memory,
 * so a server has one for each user, and who wants to cancel blocking calls one for each thread.
 * Devices check little: a virtiofsd takes uid and gid as the owner of what is made (that of QEMU
 * refuses to make it where the user may not), and reads, writes, renames, removes and changes with
 * its own rights. VIOFS_SESSION_CHECK checks here what the user may.
 * Context: any thread. Return: 0 and *@out, to be closed by viofs_session_close(); -EINVAL;
 * -ENOMEM; -ENODEV, with @err.
 */
int viofs_session_view(struct viofs_session *session, const struct viofs_view_options *options,
		       struct viofs_session **out, struct viofs_err *err);

/**
 * viofs_session_cancel() - give up blocking calls
 * Those that were made by exactly this view, or on what was opened by it, and are under way, end
 * with -ECANCELED as viofs_async_cancel() has it. Later ones are not touched.
 * Context: any thread, no signal handler. Return: how many.
 */
unsigned int viofs_session_cancel(struct viofs_session *session);

/** struct viofs_session_info - what FUSE_INIT agreed, and how the cache stands */
struct viofs_session_info {
	size_t size;           /* of this struct: set by the caller */
	uint32_t minor;        /* of FUSE 7.minor that is spoken */
	uint32_t device_minor; /* as the device said it */
	uint64_t offered;      /* INIT flags that the library offered: flags | flags2 << 32 */
	uint64_t answered;     /* flags of the device's answer */
	uint64_t flags;        /* flags agreed on */
	uint32_t max_write;    /* bytes of one WRITE or READ */
	uint32_t max_pages, max_readahead, max_background, congestion_threshold;
	uint32_t time_gran;    /* ns */
	uint64_t lookups;      /* LOOKUP and the like: references that the device counts now */
	uint32_t nodes, names; /* remembered now */
};

/** viofs_session_info_get() - look at a session. Context: any thread. Return: 0; -EINVAL: the size
 * is not set. */
int viofs_session_info_get(struct viofs_session *session, struct viofs_session_info *info);

/**
 * viofs_session_drop() - forget all names and attributes that are remembered
 * What open files need stays. The next call asks the device again. Context: any thread.
 */
void viofs_session_drop(struct viofs_session *session);

/** struct viofs_async - one user's asynchronous calls: opaque */
struct viofs_async;

/** struct viofs_event - how an asynchronous call ended */
struct viofs_event {
	void *user;        /* as given to the call */
	int64_t result;    /* what the blocking twin would have returned: 0 or more, or a negative
			      errno */
	const char *fault; /* NULL, or what the device did wrong; lives as long as the device */
	uint64_t reserved[2];
};

/**
 * viofs_async_open() - a user of asynchronous calls, which are those with _async in their names
 * Its calls go by a queue of its own (viofs_queue_open()), and belong to one thread at a time. An
 * _async call returns 0 when it is under way, and an event tells its end; or -ENOMEM or -ENODEV,
 * and there will be no event. Pointers that it is given (buffers, out-parameters; not paths, names
 * and iovecs) must stay good until the event is taken.
 * It takes 128 KiB of viofs_dev_options.dma_size for itself, so that its calls wait for nobody's
 * memory.
 * @max: calls under way at once, from which on more of them wait for their turn; 0 = 128. Those
 * that wait for locks don't count. Return: 0 and *@out; -ENOMEM, -EMFILE, -ENODEV with @err.
 */
int viofs_async_open(struct viofs_session *session, unsigned int max, struct viofs_async **out,
		     struct viofs_err *err);

/**
 * viofs_async_close() - end a user, and wait for what is under way
 * Events are dropped. NULL is fine.
 * Waits for locks are given up, by INTERRUPT. A device that hangs, or doesn't give up a lock, is
 * waited for until viofs_dev_options.timeout_ms, or viofs_dev_abort() by another thread;
 * viofs_async_close_now() doesn't wait.
 */
void viofs_async_close(struct viofs_async *async);

/**
 * viofs_async_close_now() - end a user, and give up what is under way
 * Whether the device does it nevertheless is not known. It may still read and write DMA memory of
 * the program's that such a call uses, until viofs_dev_close(); other memory is left alone from
 * here on. Bounce buffers of such calls are lost to viofs_dev_options.dma_size. Return: at once.
 */
void viofs_async_close_now(struct viofs_async *async);

/**
 * viofs_async_poll() - go on with what is under way, and take up to @max events
 * Context: the user's thread; no system call but notifications.
 * Return: how many.
 */
int viofs_async_poll(struct viofs_async *async, struct viofs_event *events, unsigned int max);

/**
 * viofs_async_wait() - as viofs_async_poll(), and wait for the first @min events
 * @timeout_ns: give up after so long; negative = never.
 * Return: how many; fewer than @min after the time, after viofs_async_wake(), or where no more are
 * under way.
 */
int viofs_async_wait(struct viofs_async *async, struct viofs_event *events, unsigned int min,
		     unsigned int max, int64_t timeout_ns);

/**
 * viofs_async_link() - let the next call begin when the one before it has ended well
 * Where that fails, or reads or writes less than it was asked for because of an error, the next one
 * ends with -ECANCELED, and so do those that are linked to it; but a close is made in any case, in
 * its turn. So a file is replaced as a whole: write, link, sync, link, close, link, rename. A call
 * whose arguments are wrong may end before those that it is linked to. What one call opens can't be
 * used by the next, since that needs it when it is begun.
 * Context: the user's thread, before each call that is to wait.
 */
void viofs_async_link(struct viofs_async *async);

/**
 * viofs_async_use() - have calls from here on made as a view says
 * @view: a session or view of the same device, which must stay open as long as such calls are under
 * way. At first it is what viofs_async_open() got. Calls on what is open are made for whom it was
 * opened.
 */
void viofs_async_use(struct viofs_async *async, struct viofs_session *view);

/**
 * viofs_async_cancel() - give up calls
 * @user: as they were given. Their events come with -ECANCELED, and the program's memory is left
 * alone from here on, but for DMA memory: what the device was told it may do until it has answered.
 * Whether it does what it was asked is not known. What an answer gives nevertheless (a file, a
 * lock) is given back. A wait for a lock is interrupted at the device, and one that the device has
 * had for less than 50 ms ends when that is over, or with the device's answer; a close goes on.
 * Return: how many; -ENOENT: none of that name is under way; -ENODEV.
 */
int viofs_async_cancel(struct viofs_async *async, const void *user);

/**
 * viofs_async_wake() - make a user look again, from another thread
 * A viofs_async_wait() returns what it has, and the descriptor becomes readable. One wake-up may
 * stand for several. Context: any thread, while @async is open; a signal handler, too.
 */
void viofs_async_wake(struct viofs_async *async);

/** viofs_async_fd() - a descriptor for event loops, as viofs_queue_fd(). viofs_event_loop(7) has
 * such loops. */
int viofs_async_fd(struct viofs_async *async);

/** viofs_async_arm() - ask for the descriptor to become readable: before each sleep. Return: 0; 1:
 * don't sleep, poll. */
int viofs_async_arm(struct viofs_async *async);

/** viofs_async_next_timeout() - how long to sleep at most, as viofs_queue_next_timeout(). */
int64_t viofs_async_next_timeout(struct viofs_async *async);

/** viofs_async_pending() - count calls whose events were not taken yet. */
unsigned int viofs_async_pending(const struct viofs_async *async);

#ifdef __cplusplus
}
#endif

#endif
