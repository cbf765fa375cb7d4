/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's sandbox: entered by a child each time, since there is no way back. */
#include "daemon/sandbox.h"
#include "base/bell.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/message.h"
#include "fs/doorbells.h"
#include "loop/loop_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#if VIOFS_HAVE_CAPNG
#include <cap-ng.h>
#endif

#include <cmocka.h>

/* Exit statuses of a child. */
enum { DID_IT, WAS_REFUSED, IS_WRONG, NO_SANDBOX, NO_RIGHTS };

/* What there was before the sandbox was entered. */
static struct {
	struct viofs_loop loop;
	enum viofs_loop_kind kind; /* of the loop; URING but for tests of the other */
	int event_fd, pipe[2], socket;
	pid_t parent; /* asking for it is not allowed either */
} before;

static int kick;
static struct viofs_doorbells bells; /* the child's: AIO doesn't outlive a fork */

static int kick_fd(struct viofs_virtio *v, unsigned int q)
{
	return kick;
}

static const struct viofs_virtio_ops ops = { .kick_fd = kick_fd };
static struct viofs_virtio virtio = { .ops = &ops };
static struct viofs_fs fs = { .virtio = &virtio, .queue_count = 2 };

static void open_all(void)
{
	if (!before.kind)
		before.kind = VIOFS_LOOP_URING;
	assert_int_equal(viofs_loop_open_restricted(&before.loop, before.kind, 0, true), 0);
	before.parent = getpid();
	before.event_fd = eventfd(0, EFD_CLOEXEC);
	before.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(before.event_fd >= 0 && before.socket >= 0);
	assert_int_equal(pipe2(before.pipe, O_CLOEXEC), 0);
	kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(kick >= 0);
}

static void close_all(void)
{
	viofs_loop_close(&before.loop);
	close(kick);
	close(before.event_fd);
	close(before.socket);
	close(before.pipe[0]);
	close(before.pipe[1]);
}

static void need_filter(void)
{
#if VIOFS_SANDBOX_SANITIZED
	print_message("sanitizers: there is no filter\n");
	skip();
#elif !VIOFS_HAVE_SECCOMP
	print_message("no libseccomp: there is no filter\n");
	skip();
#endif
}

/* Run @what in a child that has entered the sandbox. Return: how it ended, as waitpid(2) says it.
 */
static int confined(enum viofs_seccomp seccomp, int (*what)(void))
{
	const struct viofs_sandbox_config config = { .seccomp = seccomp,
						     .epoll = before.kind == VIOFS_LOOP_EPOLL };
	int status;
	pid_t pid;

	open_all();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(viofs_doorbells_init(&bells, &fs,
					   config.epoll ? VIOFS_BELL_AIO : VIOFS_BELL_URING) ||
				      viofs_sandbox_enter(&config, NULL) ||
				      viofs_loop_own(&before.loop)
			      ? NO_SANDBOX
			      : what());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close_all();
	return status;
}

static int outcome(long rc)
{
	return rc < 0 ? WAS_REFUSED : DID_IT;
}

static int try_openat(void)
{
	return outcome(syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0));
}

static int try_open(void)
{
	return outcome(syscall(SYS_openat2, AT_FDCWD, "/dev/null", NULL, 0));
}

static int try_socket(void)
{
	return outcome(socket(AF_UNIX, SOCK_STREAM, 0));
}

static const struct sockaddr_un nobody = { .sun_family = AF_UNIX, .sun_path = "/nobody" };

static int try_connect(void)
{
	return outcome(connect(before.socket, (const struct sockaddr *)&nobody, sizeof(nobody)));
}

static int try_execve(void)
{
	char *const argv[] = { (char *)"true", NULL };

	return outcome(execve("/bin/true", argv, NULL));
}

static int try_ptrace(void)
{
	return outcome(ptrace(PTRACE_ATTACH, before.parent, NULL, NULL));
}

static int try_process_vm_readv(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };

	return outcome(process_vm_readv(before.parent, &here, 1, &there, 1, 0));
}

static int try_fork(void)
{
	return outcome(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int try_kill(void)
{
	return outcome(kill(before.parent, 0));
}

static int try_tgkill_another(void)
{
	return outcome(syscall(SYS_tgkill, before.parent, before.parent, 0));
}

static int try_pin_another(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	return outcome(syscall(SYS_sched_setaffinity, before.parent, sizeof(cpus), &cpus));
}

static int try_pin_itself(void)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return WAS_REFUSED;
	return outcome(sched_setaffinity(0, sizeof(cpus), &cpus));
}

static int try_setresuid(void)
{
	return outcome(syscall(SYS_setresuid, 1, 1, 1));
}

static int try_ioctl(void)
{
	int n;

	return outcome(syscall(SYS_ioctl, before.pipe[0], 0x541B /* FIONREAD */, &n));
}

static int try_sendmsg(void)
{
	struct msghdr m = { 0 };

	return outcome(sendmsg(before.socket, &m, 0));
}

static int try_memory_to_execute(void)
{
	return outcome(
		(long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int try_mprotect_to_execute(void)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return outcome(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int try_map_descriptor(void)
{
	return outcome((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, before.event_fd, 0));
}

static int try_another_ring(void)
{
	struct io_uring ring;

	return outcome(io_uring_queue_init(4, &ring, 0));
}

static int try_to_register(void)
{
	return outcome(io_uring_register((unsigned int)viofs_loop_uring_ring(&before.loop)->ring_fd,
					 IORING_REGISTER_PERSONALITY, NULL, 0));
}

static void other_system_calls_kill(void **state)
{
	static const struct {
		const char *name;
		int (*what)(void);
	} tries[] = {
		{ "openat", try_openat },
		{ "openat2", try_open },
		{ "socket", try_socket },
		{ "connect", try_connect },
		{ "execve", try_execve },
		{ "ptrace", try_ptrace },
		{ "process_vm_readv", try_process_vm_readv },
		{ "fork", try_fork },
		{ "kill", try_kill },
		{ "tgkill of another process", try_tgkill_another },
		{ "a CPU for another process", try_pin_another },
		{ "ioctl", try_ioctl },
		{ "setresuid", try_setresuid },
		{ "sendmsg", try_sendmsg },
		{ "mmap to execute", try_memory_to_execute },
		{ "mprotect to execute", try_mprotect_to_execute },
		{ "mmap of a descriptor", try_map_descriptor },
		{ "io_uring_setup", try_another_ring },
		{ "io_uring_register", try_to_register },
	};

	need_filter();
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(tries); i++) {
		int status = confined(VIOFS_SECCOMP_KILL, tries[i].what);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s is not refused: status 0x%x", tries[i].name,
				 (unsigned int)status);
	}
}

/* Submit what @sqe holds. Return: its result. */
static int submit(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int rc = io_uring_submit_and_wait(ring, 1);

	if (rc < 0)
		return rc;
	rc = io_uring_peek_cqe(ring, &cqe);
	if (rc)
		return rc;
	rc = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return rc;
}

static int ring_refuses(void)
{
	struct io_uring *ring = viofs_loop_uring_ring(&before.loop);
	char byte;

	io_uring_prep_openat(io_uring_get_sqe(ring), AT_FDCWD, "/dev/null", O_RDONLY, 0);
	if (submit(ring) != -EACCES)
		return IS_WRONG;
	io_uring_prep_connect(io_uring_get_sqe(ring), before.socket,
			      (struct sockaddr *)(uintptr_t)&nobody, sizeof(nobody));
	if (submit(ring) != -EACCES)
		return IS_WRONG;
	io_uring_prep_write(io_uring_get_sqe(ring), before.pipe[1], "x", 1, 0);
	if (submit(ring) != -EACCES)
		return IS_WRONG;
	/* Nor with flags: a linked request could outlive who made it. */
	io_uring_prep_read(io_uring_get_sqe(ring), before.pipe[0], &byte, 1, 0);
	ring->sq.sqes[(ring->sq.sqe_tail - 1) & *ring->sq.kring_mask].flags = IOSQE_ASYNC;
	if (submit(ring) != -EACCES)
		return IS_WRONG;
	return DID_IT;
}

static void ring_opens_nothing_connects_nothing_and_writes_nothing(void **state)
{
	int status = confined(VIOFS_SECCOMP_KILL, ring_refuses);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DID_IT);
}

static void ring_can_not_be_widened_without_a_filter_either(void **state)
{
	int status = confined(VIOFS_SECCOMP_NONE, try_to_register);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), WAS_REFUSED);
}

static void nothing_can_be_opened_without_a_filter_either(void **state)
{
	int (*const tries[])(void) = { try_openat, try_socket, try_another_ring };

#if VIOFS_SANDBOX_SANITIZED
	print_message("sanitizers open files: there is no limit\n");
	skip();
#endif
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(tries); i++) {
		int status = confined(VIOFS_SECCOMP_NONE, tries[i]);

		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), WAS_REFUSED);
	}
}

static void a_thread_may_choose_its_cpu(void **state)
{
	int status = confined(VIOFS_SECCOMP_KILL, try_pin_itself);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DID_IT);
}

static void log_mode_kills_nobody(void **state)
{
	int status = confined(VIOFS_SECCOMP_LOG, try_kill);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DID_IT);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool thread_ran;

static void *thread_main(void *arg)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	char *p = malloc(100000);

	nanosleep(&nap, NULL);
	pthread_mutex_lock(&lock);
	thread_ran = p != NULL;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	free(p);
	return NULL;
}

/* As the lease starts its standbys. */
static bool threads_work(void)
{
	pthread_attr_t attr;
	struct timespec until;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 3; i++) {
		thread_ran = false;
		if (pthread_create(&thread, &attr, thread_main, NULL))
			return false;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 5;
		pthread_mutex_lock(&lock);
		for (rc = 0; !thread_ran && !rc;)
			rc = pthread_cond_timedwait(&changed, &lock, &until);
		pthread_mutex_unlock(&lock);
		if (!thread_ran)
			return false;
		usleep(1000); /* its stack goes */
	}
	return true;
}

static bool sleeping_works(void)
{
	const uint64_t three = 3;

	struct viofs_loop *l = &before.loop;

	viofs_loop_add(l, before.event_fd, VIOFS_LOOP_COUNTER);
	viofs_loop_add(l, before.pipe[0], VIOFS_LOOP_INPUT);
	viofs_loop_wait(l, VIOFS_NSEC_PER_MSEC);
	if (viofs_loop_fired(l, 0) || viofs_loop_fired(l, 1))
		return false;
	if (write(before.event_fd, &three, sizeof(three)) != (ssize_t)sizeof(three))
		return false;
	if (viofs_loop_wait(l, VIOFS_NSEC_PER_SEC) || !viofs_loop_fired(l, 0))
		return false;
	if (writev(before.pipe[1], &(struct iovec){ (void *)(uintptr_t) "x", 1 }, 1) != 1)
		return false;
	return !viofs_loop_wait(l, -1) && viofs_loop_fired(l, 1);
}

/* More than AIO's events are left without being taken away. */
static bool kicks_work(void)
{
	uint64_t n;

	for (int i = 0; i < 100; i++)
		virtio.bell(virtio.bell_arg, 1);
	return read(kick, &n, sizeof(n)) == sizeof(n) && n == 100;
}

/* A worker whose supervisor was killed: status and bus mastering, by the descriptor too. */
static bool halting_works(void)
{
	char byte = 0;

	if (pread(before.pipe[0], &byte, 1, 0) != -1 || errno != ESPIPE)
		return false;
	if (pwrite(before.pipe[1], &byte, 1, 0) != -1 || errno != ESPIPE)
		return false;
	return !usleep(1000) && getppid() == before.parent;
}

static int use_all(void)
{
	struct pollfd p = { .fd = before.pipe[0], .events = POLLIN };
	struct iovec iov;
	char bytes[8];
	void *big;

	if (!sleeping_works() || !kicks_work() || !threads_work() || !halting_works())
		return IS_WRONG;
	if (poll(&p, 1, 100) != 1)
		return IS_WRONG;
	iov = (struct iovec){ bytes, sizeof(bytes) };
	if (readv(before.pipe[0], &iov, 1) != 1)
		return IS_WRONG;
	for (size_t size = 100; size <= 8 << 20; size *= 2) {
		big = malloc(size);
		if (!big)
			return IS_WRONG;
		memset(big, 1, size);
		free(big);
	}
	viofs_message_to_pipe(before.pipe[1]);
	viofs_warn("still able to speak: %s", strerror(EIO));
	return read(before.pipe[0], bytes, sizeof(bytes)) > 0 ? DID_IT : IS_WRONG;
}

static void what_the_relay_uses_works(void **state)
{
	int status = confined(VIOFS_SECCOMP_KILL, use_all);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DID_IT);
}

static void so_it_does_without_io_uring(void **state)
{
	int status;

	before.kind = VIOFS_LOOP_EPOLL;
	status = confined(VIOFS_SECCOMP_KILL, use_all);
	before.kind = VIOFS_LOOP_URING;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DID_IT);
}

static int try_uring_enter(void)
{
	return outcome(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0));
}

static int try_uring_register(void)
{
	return outcome(syscall(SYS_io_uring_register, -1, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
}

static int try_epoll_ctl(void)
{
	return outcome(syscall(SYS_epoll_ctl, -1, EPOLL_CTL_DEL, -1, NULL));
}

static int try_io_submit(void)
{
	return outcome(syscall(SYS_io_submit, 0L, 0L, NULL));
}

static void what_the_other_loop_uses_is_not_allowed(void **state)
{
	static const struct {
		enum viofs_loop_kind kind;
		int (*what)(void);
	} tries[] = {
		{ VIOFS_LOOP_EPOLL, try_uring_enter },
		{ VIOFS_LOOP_EPOLL, try_uring_register },
		{ VIOFS_LOOP_URING, try_epoll_ctl },
		{ VIOFS_LOOP_URING, try_io_submit },
	};

	need_filter();
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(tries); i++) {
		int status;

		before.kind = tries[i].kind;
		status = confined(VIOFS_SECCOMP_KILL, tries[i].what);
		before.kind = VIOFS_LOOP_URING;
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

static int abort_now(void)
{
	abort();
}

static void a_failed_assertion_still_shows_as_one(void **state)
{
	int status = confined(VIOFS_SECCOMP_KILL, abort_now);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* One field of /proc/PID/status. */
static unsigned long long status_field(pid_t pid, const char *name)
{
	unsigned long long value = ~0ULL;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			value = strtoull(line + strlen(name) + 1, NULL, 16);
	fclose(f);
	return value;
}

static void no_rights_are_left(void **state)
{
	const struct viofs_sandbox_config config = { .seccomp = viofs_sandbox_seccomp_default() };
	const unsigned long long ipc_lock = 1ULL << 14;
	unsigned long long effective;
	int ready[2], end[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC) | pipe2(end, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		close(end[1]);
		if (viofs_sandbox_enter(&config, NULL) || write(ready[1], "x", 1) != 1)
			_exit(NO_SANDBOX);
		_exit(read(end[0], &byte, 1) ? IS_WRONG : DID_IT);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	effective = status_field(pid, "CapEff");
	if (VIOFS_HAVE_CAPNG) {
		assert_int_equal(effective & ~ipc_lock, 0);
		assert_int_equal(status_field(pid, "CapPrm"), effective);
		assert_int_equal(status_field(pid, "CapInh"), 0);
		assert_int_equal(status_field(pid, "CapAmb"), 0);
	}
	assert_int_equal(status_field(pid, "NoNewPrivs"), 1);
	if (VIOFS_HAVE_SECCOMP && !VIOFS_SANDBOX_SANITIZED)
		assert_int_equal(status_field(pid, "Seccomp"), 2);
	close(end[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(end[0]);
}

#if VIOFS_HAVE_CAPNG
/* As in a container: may raise no limit, nor pass one. Return: false: such rights can't be given
 * up. */
static bool give_up_memory_rights(void)
{
	const struct rlimit little = { 8 << 20, 8 << 20 };

	return !setrlimit(RLIMIT_MEMLOCK, &little) && !capng_get_caps_process() &&
	       !capng_updatev(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_RESOURCE,
			      CAP_IPC_LOCK, -1) &&
	       !capng_apply(CAPNG_SELECT_CAPS);
}

/* Three times as much as may be locked. Return: as what is run in a child. */
static int allocate(void)
{
	for (int i = 0; i < 24; i++) {
		void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			return WAS_REFUSED;
		memset(p, 1, 1 << 20);
	}
	return threads_work() ? DID_IT : IS_WRONG;
}

static void a_limit_that_cannot_be_raised_stands_against_nothing(void **state)
{
	const struct viofs_sandbox_config config = { .seccomp = viofs_sandbox_seccomp_default() };
	struct viofs_err err = { .text = "" };
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (!give_up_memory_rights())
			_exit(NO_RIGHTS);
		/* As the worker does it, where its limit allows that. */
		mlockall(MCL_CURRENT | MCL_FUTURE);
		if (viofs_sandbox_enter(&config, &err)) {
			fprintf(stderr, "%s\n", err.text);
			_exit(NO_SANDBOX);
		}
		_exit(allocate());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), NO_RIGHTS);
	assert_int_equal(WEXITSTATUS(status), DID_IT);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_system_calls_kill),
		cmocka_unit_test(ring_opens_nothing_connects_nothing_and_writes_nothing),
		cmocka_unit_test(ring_can_not_be_widened_without_a_filter_either),
		cmocka_unit_test(nothing_can_be_opened_without_a_filter_either),
		cmocka_unit_test(a_thread_may_choose_its_cpu),
		cmocka_unit_test(log_mode_kills_nobody),
		cmocka_unit_test(what_the_relay_uses_works),
		cmocka_unit_test(so_it_does_without_io_uring),
		cmocka_unit_test(what_the_other_loop_uses_is_not_allowed),
		cmocka_unit_test(a_failed_assertion_still_shows_as_one),
		cmocka_unit_test(no_rights_are_left),
#if VIOFS_HAVE_CAPNG
		cmocka_unit_test(a_limit_that_cannot_be_raised_stands_against_nothing),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
