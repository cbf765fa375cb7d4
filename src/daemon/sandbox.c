/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's sandbox. */
/*
 * Relaying needs: reading and writing descriptors that are open, waiting, memory and threads.
 *
 * Capabilities. Reading and writing /dev/fuse, eventfds and a VFIO device needs none. INIT's answer
 * is written without CAP_SYS_ADMIN: the kernel then bounds max_background by fuse's max_user_bgreq,
 * which by default is above ours (64) on machines of 200 MB and more. mlockall(MCL_FUTURE) stays in
 * force, so each later allocation counts against RLIMIT_MEMLOCK: it is raised for good, or, where
 * it can't be (CAP_SYS_RESOURCE is missing), CAP_IPC_LOCK is kept. In a container with neither,
 * only memory that exists now stays locked, as far as the limit allows.
 *
 * User. The worker stays root without capabilities: any other user that exists everywhere (nobody)
 * is shared with other daemons, which could then kill or trace it. RLIMIT_NPROC doesn't bind root.
 *
 * Descriptors. RLIMIT_NOFILE of 1 leaves those that are open usable and has no number for a new one
 * but that of standard input, which is taken. It holds without a filter too, up to a worker that
 * closes standard input and has one. It is 1, not 0, because poll(2) refuses more descriptors than
 * the limit. To wait for several there is loop/loop.h.
 *
 * io_uring. Its requests pass no filter. The worker's rings are made before and are restricted
 * (loop/loop_uring.c, base/bell.c); io_uring_setup is not allowed. Without io_uring AIO takes
 * its place for kicks: it can do no more than read and write what is open.
 *
 * Namespaces. The worker has no mount namespace of its own, since that would hold a copy of the
 * mount that it serves, which umount doesn't reach.
 */
#include "daemon/sandbox.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <liburing.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#if VIOFS_HAVE_CAPNG
#include <cap-ng.h>
#endif
#if VIOFS_HAVE_SECCOMP
#include <seccomp.h>
#endif

const char *viofs_seccomp_name(enum viofs_seccomp seccomp)
{
	static const char *const names[] = { "kill", "log", "none" };

	return names[seccomp];
}

enum viofs_seccomp viofs_sandbox_seccomp_default(void)
{
	return VIOFS_HAVE_SECCOMP ? VIOFS_SECCOMP_KILL : VIOFS_SECCOMP_NONE;
}

#if VIOFS_HAVE_SECCOMP
/*
 * Allowed with any arguments; the kernel decides these without running the filter (5.11 and later).
 */
static const int calls[] = {
	/* The data path. */
	SCMP_SYS(readv),   /* requests: kernel/devfuse.c */
	SCMP_SYS(writev),  /* replies: kernel/devfuse.c */
	SCMP_SYS(write),   /* errors, notifications: kernel/devfuse.c; messages, report */
	SCMP_SYS(read),    /* eventfds that are looked at: virtio, vhost */
	SCMP_SYS(pread64), /* registers that can't be mapped: vfio/bars.c */
	SCMP_SYS(pwrite64),
	SCMP_SYS(recvfrom), /* has the back end closed its socket: vhost/frontend.c */
	/*
	 * Waiting: INIT and DESTROY (relay/exchange.c), the guard (relay/lease.c); glibc chooses
	 * which. poll: of one descriptor, RLIMIT_NOFILE allows no more.
	 */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(getrusage),   /* does it share its CPU: relay/spin.c */
	SCMP_SYS(sched_yield), /* others may run: relay/serve.c */
	/* The time, where the vDSO can't tell it (guests with an odd clock source). */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	/* Threads: relay/team.c, lease.c, notify.c. Locks, a stack, its end. */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(madvise),
	SCMP_SYS(exit),
	/* malloc: stacks. mmap and mprotect are below. */
	SCMP_SYS(brk),
	SCMP_SYS(close),       /* a lost device is let go of: daemon/claim.c */
	SCMP_SYS(close_range), /* a thread that has one of them: daemon/life.c */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(getrandom),
	SCMP_SYS(sched_getaffinity),
	/* The end, a good one or an abort(3). */
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid), /* is the supervisor there: vhost/link.c */
	SCMP_SYS(gettid),
};

/*
 * What waits and kicks a vhost-user back end: by io_uring, or without it. The rest of io_uring is
 * narrow.
 */
static const int uring_calls[] = {
	SCMP_SYS(io_uring_enter), /* loop/loop_uring.c, base/bell.c */
};
static const int epoll_calls[] = {
	SCMP_SYS(epoll_wait), /* loop/loop_epoll.c; glibc chooses which */
	SCMP_SYS(epoll_pwait),  SCMP_SYS(epoll_ctl),
	SCMP_SYS(io_submit), /* base/bell.c: reads and writes of what is open */
	SCMP_SYS(io_getevents),
};

/* Allowed with these arguments only. */
struct narrow {
	int call;
	unsigned int count;
	struct scmp_arg_cmp args[2];
};

static int add_narrow(scmp_filter_ctx ctx, bool epoll)
{
	const struct narrow narrow[] = {
		/* Not with epoll. A ring becomes a thread's own: loop/loop_uring.c. */
		{ SCMP_SYS(io_uring_register),
		  1,
		  { SCMP_A1(SCMP_CMP_EQ, IORING_REGISTER_ENABLE_RINGS, 0) } },
		/* Memory, no files, nothing to be executed. */
		{ SCMP_SYS(mmap),
		  2,
		  { SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
		    SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS) } },
		{ SCMP_SYS(mprotect), 1, { SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) } },
		/* A thread of several keeps itself to a CPU: relay/team.c. */
		{ SCMP_SYS(sched_setaffinity), 1, { SCMP_A0(SCMP_CMP_EQ, 0, 0) } },
		/* Threads, no processes. */
		{ SCMP_SYS(clone), 1, { SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD) } },
		/* abort(3): signals to itself only. */
		{ SCMP_SYS(tgkill), 1, { SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0) } },
	};
	int rc = 0;

	for (size_t i = epoll; !rc && i < VIOFS_ARRAY_SIZE(narrow); i++)
		rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, narrow[i].call, narrow[i].count,
					    narrow[i].args);
	/* Its flags lie in memory, where no filter sees them. glibc then takes clone. */
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return rc;
}

static int add_calls(scmp_filter_ctx ctx, const int *list, size_t count)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, list[i], 0);
	return rc;
}

static int load_filter(enum viofs_seccomp seccomp, bool epoll, struct viofs_err *err)
{
	scmp_filter_ctx ctx;
	int rc;

	if (seccomp == VIOFS_SECCOMP_NONE)
		return 0;
	ctx = seccomp_init(seccomp == VIOFS_SECCOMP_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_LOG);
	rc = ctx ? seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;
	if (!rc)
		rc = add_calls(ctx, calls, VIOFS_ARRAY_SIZE(calls));
	if (!rc && epoll)
		rc = add_calls(ctx, epoll_calls, VIOFS_ARRAY_SIZE(epoll_calls));
	else if (!rc)
		rc = add_calls(ctx, uring_calls, VIOFS_ARRAY_SIZE(uring_calls));
	if (!rc)
		rc = add_narrow(ctx, epoll);
	if (!rc)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc ? viofs_err_set(
			    err, rc,
			    "The worker's seccomp filter can't be loaded: %s. It needs a kernel "
			    "with CONFIG_SECCOMP_FILTER; -o seccomp=none does without.",
			    strerror(-rc))
		  : 0;
}
#else
static int load_filter(enum viofs_seccomp seccomp, bool epoll, struct viofs_err *err)
{
	return 0;
}
#endif

/* Return: may allocate locked memory without CAP_IPC_LOCK. */
static bool lift_memlock(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit now;

	if (!setrlimit(RLIMIT_MEMLOCK, &all))
		return true;
	return !getrlimit(RLIMIT_MEMLOCK, &now) && now.rlim_cur == RLIM_INFINITY;
}

/* Lock no more: an allocation that can't be locked would fail. */
static void lock_no_more(void)
{
	/* All that is needed has been allocated; sparse mappings stay sparse. */
	if (mlockall(MCL_CURRENT | MCL_ONFAULT) < 0)
		munlockall();
	viofs_debug("RLIMIT_MEMLOCK can't be raised (CAP_SYS_RESOURCE), nor passed (CAP_IPC_LOCK): "
		    "what the worker allocates from now on is not locked into memory");
}

#if VIOFS_HAVE_CAPNG
static bool has_ipc_lock(void)
{
	return !capng_get_caps_process() && capng_have_capability(CAPNG_PERMITTED, CAP_IPC_LOCK);
}

static int drop_capabilities(bool keep_ipc_lock, struct viofs_err *err)
{
	capng_clear(CAPNG_SELECT_ALL);
	/*
	 * Needs CAP_SETPCAP. Without it the bounding set stays, but NoNewPrivs keeps it out of
	 * reach.
	 */
	if (capng_apply(CAPNG_SELECT_BOUNDS))
		viofs_debug("the worker's capability bounding set can't be emptied here");
	if (keep_ipc_lock)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_IPC_LOCK);
	/* Permitted and inheritable: the ambient set goes with them. */
	if (capng_apply(CAPNG_SELECT_CAPS))
		return viofs_err_set(err, -EPERM,
				     "The worker's capabilities can't be dropped%s: %s. Does a "
				     "security module or a container's seccomp filter forbid "
				     "capset(2)?",
				     keep_ipc_lock ? " but for CAP_IPC_LOCK" : "", strerror(errno));
	return 0;
}
#else
static bool has_ipc_lock(void)
{
	return true;
}

static int drop_capabilities(bool keep_ipc_lock, struct viofs_err *err)
{
	viofs_warn("built without libcap-ng: the worker keeps all capabilities");
	return 0;
}
#endif

static int set_limits(bool debug, struct viofs_err *err)
{
	const struct rlimit none = { 0, 0 }, no_new = { 1, 1 };

	if (!VIOFS_SANDBOX_SANITIZED && setrlimit(RLIMIT_NOFILE, &no_new) < 0)
		return viofs_err_set(err, -errno, "RLIMIT_NOFILE: %s", strerror(errno));
	if (debug || VIOFS_SANDBOX_SANITIZED)
		return 0;
	/* Memory contains other people's files. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return viofs_err_set(err, -errno, "RLIMIT_CORE, PR_SET_DUMPABLE: %s",
				     strerror(errno));
	return 0;
}

int viofs_sandbox_enter(const struct viofs_sandbox_config *config, struct viofs_err *err)
{
	enum viofs_seccomp seccomp = config->seccomp;
	bool is_lifted, keep_ipc_lock;
	int rc;

	if (VIOFS_SANDBOX_SANITIZED && seccomp != VIOFS_SECCOMP_NONE) {
		viofs_info("built with sanitizers: the worker has no seccomp filter");
		seccomp = VIOFS_SECCOMP_NONE;
	} else if (!VIOFS_HAVE_SECCOMP) {
		viofs_warn("built without libseccomp: the worker has no seccomp filter");
	}
	/*
	 * One heap for all threads: how many CPUs there are, which glibc would ask for, doesn't
	 * matter.
	 */
	mallopt(M_ARENA_MAX, 1);
	is_lifted = lift_memlock();
	keep_ipc_lock = !is_lifted && has_ipc_lock();
	if (!is_lifted && !keep_ipc_lock)
		lock_no_more();
	rc = drop_capabilities(keep_ipc_lock, err);
	if (rc)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return viofs_err_set(err, -errno, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
	rc = set_limits(config->debug, err);
	return rc ? rc : load_filter(seccomp, config->epoll, err);
}
