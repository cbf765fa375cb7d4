/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process has from whoever started it. */
/*
 * A mount outlives whoever asked for it: a shell, a cron job, another daemon. Open files, ignored
 * signals and limits of the starter must not end the mount, and the mount must not hold them.
 *
 * Descriptors. 0, 1 and 2 are made to be open (base/standard.h); all above are closed: the
 * daemon takes none over, and would hold others' locks and pipes for as long as there is a mount.
 *
 * Signals. An execve(2) keeps which ones are ignored and which are blocked. Nothing is blocked from
 * here on. Three may be ignored on purpose: SIGHUP (nohup), SIGINT and SIGQUIT (a background job of
 * a script). They stay ignored. SIGTERM and SIGCHLD the daemon needs. All other signals that would
 * end the process are ignored, since they would leave a mount without its supervisor. Faults
 * (SIGSEGV and the like) and job control stay as they are.
 *
 * Environment. GLIBC_TUNABLES may have malloc take hugepages, which are counted for the arena, or
 * make system calls that the worker's filter doesn't know. glibc reads it before main().
 *
 * Limits. The kernel's own driver has none. CPU time or a file's size (of the shared memory, too)
 * would end the process at some time, memory would have requests fail. Core files stay limited as
 * the starter likes; locked memory is the sandbox's business.
 */
#include "daemon/inherit.h"
#include "base/file.h"
#include "base/log.h"
#include "base/standard.h"
#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* Enough for 64 lanes, with a device that has 64 queues. */
#define DESCRIPTORS 1024U
#define STACK_BYTES (8UL << 20)

/* Whoever starts the daemon may have switched these off. */
static const int end_signals[] = { SIGHUP, SIGINT, SIGQUIT };
static const int needed_signals[] = { SIGTERM, SIGCHLD };
/* Faults, which can't be ignored, and job control. */
static const int other_signals[] = { SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,   SIGABRT, SIGSYS,
				     SIGTRAP, SIGTSTP, SIGCONT, SIGWINCH, SIGURG };

#define CONTAINS(signals, number) contains(signals, VIOFS_ARRAY_SIZE(signals), number)

static bool contains(const int *signals, size_t count, int number)
{
	for (size_t i = 0; i < count; i++)
		if (signals[i] == number)
			return true;
	return false;
}

static bool is_ignored(int number)
{
	struct sigaction now;

	return !sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN;
}

static void set_signals(void)
{
	sigset_t none;

	/* signal(2) refuses SIGKILL, SIGSTOP, and the two that are glibc's own. */
	for (int number = 1; number <= SIGRTMAX; number++) {
		if (CONTAINS(other_signals, number) ||
		    (CONTAINS(end_signals, number) && is_ignored(number)))
			continue;
		if (CONTAINS(end_signals, number) || CONTAINS(needed_signals, number))
			signal(number, SIG_DFL);
		else
			signal(number, SIG_IGN);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void viofs_inherit_drop_tunables(char **argv)
{
	char path[PATH_MAX];
	ssize_t n;

	if (!getenv("GLIBC_TUNABLES"))
		return;
	unsetenv("GLIBC_TUNABLES");
	/* Not /proc/self/exe itself: "exe" would be the process's name. */
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n < 0)
		return;
	path[n] = '\0';
	execv(path, argv);
}

int viofs_inherit_clean(void)
{
	int rc = viofs_standard_open();

	if (rc)
		return rc;
	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		return -errno;
	set_signals();
	umask(022);
	return 0;
}

void viofs_inherit_end_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	/* A signalfd gets a signal even if it is ignored, so ignored ones are left out. */
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(end_signals); i++)
		if (!is_ignored(end_signals[i]))
			sigaddset(set, end_signals[i]);
}

int viofs_inherit_signalfd(struct viofs_err *err)
{
	sigset_t set;
	int fd;

	viofs_inherit_end_signals(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? viofs_err_set(err, -errno, "signalfd: %s", strerror(errno)) : fd;
}

struct limit {
	__rlimit_resource_t resource;
	rlim_t enough;
	const char *name;
};

static const struct limit limits[] = {
	{ RLIMIT_CPU, RLIM_INFINITY, "CPU time (ulimit -t)" },
	{ RLIMIT_FSIZE, RLIM_INFINITY, "file size (ulimit -f)" },
	{ RLIMIT_AS, RLIM_INFINITY, "memory (ulimit -v)" },
	{ RLIMIT_DATA, RLIM_INFINITY, "data (ulimit -d)" },
	{ RLIMIT_RTTIME, RLIM_INFINITY, "real-time CPU time (ulimit -R)" },
	{ RLIMIT_NOFILE, DESCRIPTORS, "open files (ulimit -n)" },
	{ RLIMIT_STACK, STACK_BYTES, "stack (ulimit -s)" },
};

/* RLIM_INFINITY is the largest number there is. */
static void widen(const struct limit *l)
{
	struct rlimit now, wide;

	if (getrlimit(l->resource, &now) < 0 || now.rlim_cur >= l->enough)
		return;
	wide = (struct rlimit){ l->enough, VIOFS_MAX(now.rlim_max, l->enough) };
	if (!setrlimit(l->resource, &wide))
		return;
	/* Raising a hard limit needs CAP_SYS_RESOURCE. */
	wide.rlim_cur = wide.rlim_max = now.rlim_max;
	setrlimit(l->resource, &wide);
	viofs_warn("%s is limited here to %llu, which this process may not change; the mount may "
		   "fail by it",
		   l->name, (unsigned long long)now.rlim_max);
}

void viofs_inherit_widen_limits(void)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(limits); i++)
		widen(&limits[i]);
}

void viofs_inherit_no_oom(void)
{
	int rc = viofs_text_write("/proc/self/oom_score_adj", "-1000");

	if (rc)
		viofs_debug("not allowed here, so low memory may end this mount: oom_score_adj: %s",
			    strerror(-rc));
}
