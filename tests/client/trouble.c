/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs-trouble SOURCE CASE: what must neither hang nor harm a program that uses libviofs
 *
 * One case in one process, with a back end of its own. What is to happen to that is asked for by a
 * line on standard output (stop, go, kill), and has happened when a line comes on standard input.
 * A program that hangs is ended by who has started it.
 */
#include <viofs/viofs.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ALL_SLOTS 128
#define FEW_SLOTS 8
#define TIMEOUT_MS 1000
#define SKIPPED 77

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			printf("# %s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #x, err.text);    \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static struct viofs_dev *dev;
static struct viofs_session *session;
static struct viofs_err err;
static const char *source;

/* @timeout_ms: of the device; @depth: 0: the default. One request queue, which all share. */
static void take(uint32_t timeout_ms, uint32_t depth)
{
	struct viofs_file *f = NULL;
	struct viofs_dev_options o;

	viofs_dev_options_init(&o, sizeof(o));
	o.queues = 1;
	o.depth = depth;
	o.timeout_ms = timeout_ms;
	/* A leak checker looks at each page, be it there or not. */
	o.dma_size = 1 << 20;
	o.flags = VIOFS_DEV_SMALL_PAGES;
	MUST(!viofs_dev_open(source, &o, &dev, &err));
	MUST(!viofs_session_open(dev, NULL, &session, &err));
	MUST(!viofs_file_open(session, "file", 0, O_CREAT | O_WRONLY, 0600, &f, &err));
	MUST(viofs_file_pwrite(f, "contents", 8, 0, &err) == 8);
	MUST(!viofs_file_close(f, &err));
}

static void give_back(void)
{
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
}

static void order(const char *what)
{
	char line[16];

	printf("%s\n", what);
	fflush(stdout);
	MUST(fgets(line, sizeof(line), stdin));
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct viofs_async *new_user(void)
{
	struct viofs_async *a = NULL;

	MUST(!viofs_async_open(session, 0, &a, &err));
	return a;
}

static void looks_up(void)
{
	struct stat st;

	MUST(!viofs_path_stat(session, "file", VIOFS_PATH_FORCE_SYNC, &st, &err));
	MUST(st.st_size == 8);
}

/* The call is at a device that answers when it goes on. */
static void begin_look(struct viofs_async *a, struct stat *st)
{
	MUST(!viofs_path_stat_async(a, "file", VIOFS_PATH_FORCE_SYNC, st, st));
	viofs_async_poll(a, &(struct viofs_event){ 0 }, 1);
}

/* A program's loop that sleeps on the descriptor alone, until there is an event. */
static int64_t sleep_for_an_event(struct viofs_async *a)
{
	struct viofs_event e = { 0 };

	while (!viofs_async_poll(a, &e, 1)) {
		struct pollfd p = { .fd = viofs_async_fd(a), .events = POLLIN };

		if (!viofs_async_arm(a))
			poll(&p, 1, -1);
	}
	return e.result;
}

static void begin_opens(struct viofs_async *a, struct viofs_file **files)
{
	for (int i = 0; i < ALL_SLOTS; i++)
		MUST(!viofs_file_open_async(a, "file", 0, O_RDONLY, 0, &files[i], &files[i]));
}

static void close_opens(struct viofs_async *a, struct viofs_file **files)
{
	struct viofs_event e;

	for (int i = 0; i < ALL_SLOTS; i++)
		MUST(viofs_async_wait(a, &e, 1, 1, -1) == 1 && !e.result);
	for (int i = 0; i < ALL_SLOTS; i++)
		MUST(!viofs_file_close(files[i], &err));
}

static void ends_that_nobody_takes(void)
{
	static struct viofs_file *files[ALL_SLOTS];
	struct viofs_async *a, *other;
	struct stat st;

	take(0, 0);
	a = new_user();
	other = new_user();
	begin_opens(a, files);
	looks_up();
	begin_look(other, &st);
	MUST(!sleep_for_an_event(other));
	close_opens(a, files);
	viofs_async_close(other);
	viofs_async_close(a);
	give_back();
}

static int began[2], ended[2];

/* It has all slots, and does something else until the main thread's call has ended. */
static void *busy(void *arg)
{
	static struct viofs_file *files[ALL_SLOTS];
	struct viofs_async *a = new_user();
	char c = 'b';

	(void)arg;
	begin_opens(a, files);
	MUST(write(began[1], &c, 1) == 1);
	MUST(read(ended[0], &c, 1) == 1);
	close_opens(a, files);
	viofs_async_close(a);
	return NULL;
}

static void a_thread_that_is_busy(void)
{
	pthread_t thread;
	char c = 'e';

	take(0, 0);
	MUST(!pipe(began) && !pipe(ended));
	MUST(!pthread_create(&thread, NULL, busy, NULL));
	MUST(read(began[0], &c, 1) == 1);
	for (int i = 0; i < 10; i++)
		looks_up();
	MUST(write(ended[1], &c, 1) == 1);
	pthread_join(thread, NULL);
	give_back();
}

/* What another thread does while the first one waits; whether it comes earlier doesn't matter. */
static void *soon(void *what)
{
	usleep(200000);
	if (!strcmp(what, "abort"))
		viofs_dev_abort(dev);
	else
		order(what);
	return NULL;
}

static pthread_t do_soon(const char *what)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, soon, (void *)what));
	return thread;
}

static void a_loop_sees_the_death(void)
{
	struct viofs_async *a;
	pthread_t thread;
	struct stat st;

	take(0, 0);
	a = new_user();
	order("stop");
	begin_look(a, &st);
	thread = do_soon("kill");
	MUST(sleep_for_an_event(a) < 0);
	MUST(viofs_dev_failed(dev) && strstr(viofs_dev_failed(dev), "closed its socket"));
	pthread_join(thread, NULL);
	viofs_async_close(a);
	give_back();
}

static void a_loop_sees_the_time_out(void)
{
	struct viofs_async *a;
	struct stat st;
	int64_t ns;

	take(TIMEOUT_MS, 0);
	a = new_user();
	MUST(viofs_async_next_timeout(a) == -1);
	order("stop");
	begin_look(a, &st);
	ns = viofs_async_next_timeout(a);
	MUST(ns >= 0 && ns <= (TIMEOUT_MS + 100) * 1000000LL);
	MUST(sleep_for_an_event(a) < 0);
	MUST(strstr(viofs_dev_failed(dev), "has not answered"));
	viofs_async_close(a);
	give_back();
}

static void a_time_out_waits_for_nobody(void)
{
	struct stat st;
	int64_t began_ms;

	take(TIMEOUT_MS, 0);
	order("stop");
	began_ms = now_ms();
	MUST(viofs_path_stat(session, "file", VIOFS_PATH_FORCE_SYNC, &st, &err) < 0);
	MUST(strstr(err.text, "has not answered"));
	/* A reset that waits for the back end takes 5 s more. */
	MUST(now_ms() - began_ms >= TIMEOUT_MS - 100 && now_ms() - began_ms < TIMEOUT_MS + 4500);
	give_back();
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* In the child: all calls fail, and what it closes is gone. */
static void in_the_child(struct viofs_queue *q, struct viofs_async *a, struct viofs_file *f,
			 int before)
{
	struct viofs_request r = { .opcode = FUSE_STATFS, .nodeid = 1, .reply_size = 80 };
	struct viofs_completion c;
	struct viofs_event e;
	struct stat st;

	MUST(viofs_dev_failed(dev) && !viofs_dma_alloc(dev, 4096));
	MUST(viofs_path_stat(session, "file", 0, &st, &err) == -ENODEV);
	MUST(viofs_path_stat_async(a, "file", 0, &st, NULL) == -ENODEV);
	MUST(!viofs_async_wait(a, &e, 1, 1, -1));
	MUST(viofs_queue_submit(q, &r, 1) == -ENODEV);
	MUST(viofs_queue_wait(q, &c, 1, 1, -1) == -ENODEV);
	MUST(viofs_file_close(f, NULL) == -ENODEV);
	viofs_queue_close(q);
	viofs_async_close(a);
	viofs_session_close(session);
	MUST(viofs_dev_close(dev, NULL) == -ENODEV);
	MUST(open_descriptors() == before);
}

static int going_on = 1;

static void *looks(void *arg)
{
	(void)arg;
	while (__atomic_load_n(&going_on, __ATOMIC_RELAXED)) {
		looks_up();
		usleep(100); /* valgrind runs one thread at a time */
	}
	return NULL;
}

/* While another thread is in calls, so that locks are held. */
static void children(void)
{
	void *memory;
	struct viofs_file *f = NULL;
	struct viofs_queue *q = NULL;
	struct viofs_async *a;
	pthread_t thread;
	struct stat st;
	int status, before = open_descriptors();

	take(0, 0);
	memory = viofs_dma_alloc(dev, 4096);
	a = new_user();
	MUST(memory && !viofs_queue_open(dev, &q, &err));
	MUST(!viofs_file_open(session, "file", 0, O_RDONLY, 0, &f, &err));
	MUST(!pthread_create(&thread, NULL, looks, NULL));
	for (int i = 0; i < 3; i++) {
		pid_t child;

		begin_look(a, &st);
		fflush(stdout);
		child = fork();
		if (!child) {
			in_the_child(q, a, f, before);
			_exit(0); /* valgrind looks all the same */
		}
		MUST(waitpid(child, &status, 0) == child);
		MUST(WIFEXITED(status) && !WEXITSTATUS(status));
		MUST(!sleep_for_an_event(a));
	}
	__atomic_store_n(&going_on, 0, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	looks_up();
	viofs_async_close(a);
	viofs_queue_close(q);
	viofs_dma_free(dev, memory);
	MUST(!viofs_file_close(f, &err));
	give_back();
}

static int may(struct viofs_session *view, int mode)
{
	return viofs_path_access(view, "file", 0, mode, &err);
}

static void access_is_decided(void)
{
	struct viofs_view_options o;
	struct viofs_session *view = NULL;

	take(0, 0);
	viofs_view_options_init(session, &o, sizeof(o));
	o.cred = (struct viofs_cred){ .uid = 1000, .gid = 1000, .pid = 1 };
	MUST(!viofs_session_view(session, &o, &view, &err));
	MUST(!may(view, F_OK) && may(view, R_OK) == -EACCES && may(view, W_OK) == -EACCES);
	MUST(!may(session, R_OK | W_OK) && may(session, X_OK) == -EACCES);
	MUST(!viofs_path_chmod(session, "file", 0, 0604, &err));
	MUST(!may(view, R_OK) && may(view, R_OK | W_OK) == -EACCES);
	MUST(!viofs_path_chown(session, "file", 0, 1000, (gid_t)-1, &err));
	MUST(!may(view, R_OK | W_OK) && may(view, X_OK) == -EACCES);
	viofs_session_close(view);
	give_back();
}

static void closing_now(void)
{
	struct viofs_async *a;
	struct viofs_file *f = NULL;
	char *data;
	struct stat st;

	take(0, 0);
	data = viofs_dma_alloc(dev, 4096);
	MUST(data && !viofs_file_open(session, "file", 0, O_RDONLY, 0, &f, &err));
	a = new_user();
	order("stop");
	begin_look(a, &st);
	MUST(!viofs_file_pread_async(a, f, data, 4096, 0, data));
	viofs_async_close_now(a);
	order("go");
	looks_up();
	MUST(!viofs_file_close(f, &err));
	give_back();
}

static void aborting_a_close(void)
{
	struct viofs_async *a;
	pthread_t thread;
	struct stat st;

	take(0, 0);
	a = new_user();
	order("stop");
	begin_look(a, &st);
	thread = do_soon("abort");
	viofs_async_close(a);
	pthread_join(thread, NULL);
	MUST(viofs_dev_failed(dev));
	give_back();
}

/* With nobody who gives the device up. */
static void closing_all_on_one_that_hangs(void)
{
	struct viofs_async *a;
	struct stat st;

	take(TIMEOUT_MS, 0);
	a = new_user();
	order("stop");
	begin_look(a, &st);
	viofs_async_close(a);
	give_back();
}

static struct flock whole(short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET };
}

static void closing_with_a_lock_that_waits(void)
{
	struct viofs_file *holder = NULL, *other = NULL;
	struct flock mine = whole(F_WRLCK), wanted = whole(F_WRLCK);
	struct viofs_async *a;
	int rc;

	take(0, 0);
	MUST(!viofs_file_open(session, "file", 0, O_RDWR, 0, &holder, &err));
	MUST(!viofs_file_open(session, "file", 0, O_RDWR, 0, &other, &err));
	a = new_user();
	rc = viofs_file_lock(holder, F_OFD_SETLK, &mine, &err);
	MUST(!rc || rc == -ENOSYS || rc == -EOPNOTSUPP);
	MUST(!viofs_file_lock_async(a, other, F_OFD_SETLKW, &wanted, NULL));
	viofs_async_close(a);
	MUST(!viofs_file_close(other, &err) && !viofs_file_close(holder, &err));
	looks_up();
	give_back();
	if (rc) {
		printf("# the back end keeps no locks\n");
		exit(SKIPPED);
	}
}

static int submit_one(struct viofs_queue *q, void *out)
{
	struct viofs_request r = { .opcode = FUSE_STATFS,
				   .nodeid = 1,
				   .reply = out,
				   .reply_size = sizeof(struct fuse_statfs_out),
				   .user = out };

	return viofs_queue_submit(q, &r, 1);
}

/* Sleep on the descriptor until @until_ms, or until there is room. Return: how often it woke. */
static int sleep_for_room(struct viofs_queue *q, void *out, int64_t until_ms)
{
	int turns = 0;

	while (!submit_one(q, out)) {
		struct pollfd p = { .fd = viofs_queue_fd(q), .events = POLLIN };
		int64_t left = until_ms - now_ms();
		struct viofs_completion c;

		if (until_ms && left <= 0)
			break;
		turns++;
		if (!viofs_queue_arm(q))
			poll(&p, 1, until_ms ? (int)left : -1);
		viofs_queue_poll(q, &c, 1);
	}
	return turns;
}

static void a_full_queue_is_waited_for(void)
{
	static struct fuse_statfs_out out[FEW_SLOTS + 1];
	struct viofs_queue *full = NULL, *other = NULL;
	struct viofs_completion c[FEW_SLOTS];
	int64_t began_ms;
	int n = 0, got = 0;

	take(0, FEW_SLOTS);
	MUST(!viofs_queue_open(dev, &full, &err) && !viofs_queue_open(dev, &other, &err));
	order("stop");
	while (n < FEW_SLOTS && submit_one(full, &out[n]) == 1)
		n++;
	MUST(!submit_one(other, &out[FEW_SLOTS]));
	began_ms = now_ms();
	MUST(!viofs_queue_wait(other, c, 1, 1, 200000000));
	MUST(now_ms() - began_ms >= 190);
	/* Who is woken for nothing again and again has thousands of turns. */
	MUST(sleep_for_room(other, &out[FEW_SLOTS], now_ms() + 300) < 200);
	order("go");
	sleep_for_room(other, &out[FEW_SLOTS], 0);
	MUST(viofs_queue_wait(other, c, 1, 1, -1) == 1 && !c[0].error);
	while (got < n)
		got += viofs_queue_wait(full, c, 1, FEW_SLOTS, -1);
	viofs_queue_close(other);
	viofs_queue_close(full);
	give_back();
}

static void what_is_given_up_is_not_interrupted(void)
{
	struct fuse_attr_out out;
	struct viofs_request r = { .opcode = FUSE_GETATTR,
				   .nodeid = 1,
				   .args = &(struct fuse_getattr_in){ 0 },
				   .args_size = sizeof(struct fuse_getattr_in),
				   .reply = &out,
				   .reply_size = sizeof(out) };
	struct viofs_queue *q = NULL;
	struct viofs_file *f = NULL;
	struct viofs_completion c;
	struct viofs_async *a;
	struct viofs_event e[2];
	char data[8];
	struct stat st;

	take(0, 0);
	a = new_user();
	MUST(!viofs_queue_open(dev, &q, &err));
	MUST(!viofs_file_open(session, "file", 0, O_RDONLY, 0, &f, &err));
	order("stop");
	MUST(viofs_queue_submit(q, &r, 1) == 1);
	MUST(viofs_queue_interrupt(q, r.unique) == -EOPNOTSUPP);
	begin_look(a, &st);
	MUST(!viofs_file_pread_async(a, f, data, sizeof(data), 0, data));
	MUST(viofs_async_cancel(a, &st) == 1 && viofs_async_cancel(a, data) == 1);
	MUST(viofs_async_wait(a, e, 2, 2, -1) == 2);
	MUST(e[0].result == -ECANCELED && e[1].result == -ECANCELED);
	order("go");
	MUST(viofs_queue_wait(q, &c, 1, 1, -1) == 1 && !c.error);
	MUST(viofs_queue_interrupt(q, r.unique) == -ENOENT);
	for (int i = 0; i < 100; i++)
		looks_up();
	MUST(!viofs_file_close(f, &err));
	viofs_queue_close(q);
	viofs_async_close(a);
	give_back();
}

static int signals;
static struct viofs_async *woken;

static void on_signal(int number)
{
	(void)number;
	__atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
	if (woken)
		viofs_async_wake(woken);
}

/* @again: µs; 0: once. Calls of the system are not begun again after it. */
static void signal_every(long first, long again)
{
	const struct sigaction action = { .sa_handler = on_signal };
	const struct itimerval when = { { 0, again }, { 0, first } };

	MUST(!sigaction(SIGALRM, &action, NULL) && !setitimer(ITIMER_REAL, &when, NULL));
}

static void all_kinds_of_waits(struct viofs_async *a, struct viofs_queue *q, struct viofs_file *f,
			       int memory)
{
	struct fuse_statfs_out out;
	struct viofs_completion c;
	struct viofs_event e;
	char data[8];
	struct stat st;

	looks_up();
	MUST(viofs_file_pread(f, data, sizeof(data), 0, &err) == sizeof(data));
	MUST(viofs_file_to_fd(f, 0, memory, 0, UINT64_MAX, &err) == sizeof(data));
	MUST(viofs_file_from_fd(f, 0, memory, 0, UINT64_MAX, &err) == sizeof(data));
	begin_look(a, &st);
	MUST(viofs_async_wait(a, &e, 1, 1, -1) == 1 && !e.result);
	MUST(submit_one(q, &out) == 1 && viofs_queue_wait(q, &c, 1, 1, -1) == 1 && !c.error);
}

static void signals_end_no_call(void)
{
	int memory = memfd_create("copy", MFD_CLOEXEC);
	struct viofs_queue *q = NULL;
	struct viofs_file *f = NULL;
	struct viofs_async *a;

	take(0, 0);
	a = new_user();
	MUST(memory >= 0 && !viofs_queue_open(dev, &q, &err));
	MUST(!viofs_file_open(session, "file", 0, O_RDWR, 0, &f, &err));
	signal_every(2000, 2000);
	for (int i = 0; i < 20 || __atomic_load_n(&signals, __ATOMIC_RELAXED) < 20; i++)
		all_kinds_of_waits(a, q, f, memory);
	signal_every(0, 0);
	MUST(!viofs_file_close(f, &err));
	close(memory);
	viofs_queue_close(q);
	viofs_async_close(a);
	give_back();
}

static void a_handler_ends_a_wait(void)
{
	struct viofs_async *a;
	struct viofs_event e;
	struct stat st;

	take(0, 0);
	a = new_user();
	order("stop");
	begin_look(a, &st);
	woken = a;
	signal_every(200000, 0);
	MUST(!viofs_async_wait(a, &e, 1, 1, -1) && signals == 1);
	order("go");
	MUST(viofs_async_wait(a, &e, 1, 1, -1) == 1 && !e.result);
	viofs_async_close(a);
	give_back();
}

static void *abort_by_signal(void *set)
{
	int number;

	MUST(!sigwait(set, &number));
	viofs_dev_abort(dev);
	return NULL;
}

/* As docs/examples/signals.c does it. */
static void a_signal_gives_the_device_up(void)
{
	pthread_t thread;
	struct stat st;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	take(0, 0);
	MUST(!pthread_create(&thread, NULL, abort_by_signal, &set));
	order("stop");
	signal_every(200000, 0);
	MUST(viofs_path_stat(session, "file", VIOFS_PATH_FORCE_SYNC, &st, &err) < 0);
	pthread_join(thread, NULL);
	give_back();
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "ends that nobody takes hold up no other call", ends_that_nobody_takes },
	{ "a thread that is busy holds up no other", a_thread_that_is_busy },
	{ "an event loop sees that the back end dies", a_loop_sees_the_death },
	{ "an event loop sees a time-out", a_loop_sees_the_time_out },
	{ "failing on a time-out waits for nobody", a_time_out_waits_for_nobody },
	{ "children of fork have no device, and keep nothing", children },
	{ "access is decided by owner and mode", access_is_decided },
	{ "closing now waits for nothing", closing_now },
	{ "aborting ends a close that waits", aborting_a_close },
	{ "closing waits for a time-out at most", closing_all_on_one_that_hangs },
	{ "closing gives up a lock that waits", closing_with_a_lock_that_waits },
	{ "a full queue is waited for", a_full_queue_is_waited_for },
	{ "what is given up is not interrupted", what_is_given_up_is_not_interrupted },
	{ "signals end no call", signals_end_no_call },
	{ "a signal handler ends a wait", a_handler_ends_a_wait },
	{ "a signal gives up a device that hangs", a_signal_gives_the_device_up },
};

int main(int argc, char **argv)
{
	if (argc == 3)
		source = argv[1];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!source) {
			printf("%s\n", cases[i].name);
		} else if (!strcmp(argv[2], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	}
	return source ? 2 : 0;
}
