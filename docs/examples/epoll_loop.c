/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A share in an event loop, beside a timer: epoll_loop SOURCE FILE
 *
 * Every 20 ms the timer begins a look at the file; after ten of them the loop ends. The order is
 * that of viofs_event_loop(7): drain, arm, sleep.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <viofs/viofs.h>

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LOOKS 10

struct loop {
	struct viofs_async *async;
	const char *path;
	struct stat st;
	int epoll, timer;
	int begun, done, failed;
};

static void begin(struct loop *l)
{
	int rc = viofs_path_stat_async(l->async, l->path, 0, &l->st, l);

	l->begun++;
	if (rc) {
		fprintf(stderr, "%s: %s\n", l->path, strerror(-rc));
		l->failed = 1;
	}
}

static void drain(struct loop *l)
{
	struct viofs_event events[16];
	int n;

	while ((n = viofs_async_poll(l->async, events, 16)) > 0) {
		for (int i = 0; i < n; i++) {
			l->done++;
			if (events[i].result < 0) {
				fprintf(stderr, "%s: %s\n", l->path,
					strerror((int)-events[i].result));
				l->failed = 1;
			}
		}
	}
}

static void run(struct loop *l)
{
	struct epoll_event ready[2];
	uint64_t ticks;

	while (l->done < LOOKS && !l->failed) {
		int n;

		drain(l);
		if (viofs_async_arm(l->async))
			continue; /* something came meanwhile */
		n = epoll_wait(l->epoll, ready, 2, -1);
		/* Calls that are begun here are armed before the next sleep. */
		for (int i = 0; i < n; i++)
			if (ready[i].data.fd == l->timer &&
			    read(l->timer, &ticks, sizeof(ticks)) > 0 && l->begun < LOOKS)
				begin(l);
	}
}

static int watch(struct loop *l, int fd)
{
	struct epoll_event event;

	memset(&event, 0, sizeof(event));
	event.events = EPOLLIN;
	event.data.fd = fd;
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv)
{
	const struct itimerspec every = { { 0, 20000000 }, { 0, 20000000 } };
	struct viofs_session *session = NULL;
	struct viofs_dev *dev = NULL;
	static struct viofs_err err;
	struct loop l;

	if (argc != 3) {
		fprintf(stderr, "Usage: epoll_loop SOURCE FILE\n");
		return 2;
	}
	memset(&l, 0, sizeof(l));
	l.failed = 1;
	l.path = argv[2];
	l.epoll = epoll_create1(EPOLL_CLOEXEC);
	l.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err) ||
	    viofs_async_open(session, 0, &l.async, &err)) {
		fprintf(stderr, "%s\n", err.text);
	} else if (watch(&l, l.timer) || watch(&l, viofs_async_fd(l.async)) ||
		   timerfd_settime(l.timer, 0, &every, NULL)) {
		perror("epoll");
	} else {
		l.failed = 0;
		run(&l);
		printf("%d looks, %lld bytes\n", l.done, (long long)l.st.st_size);
	}
	viofs_async_close(l.async);
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return l.failed;
}
