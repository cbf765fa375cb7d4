/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A share in a loop that calls back, here libuv's: uv_loop SOURCE FILE
 *
 * Counts a file's lines with eight reads in flight, and says every second how far it is. What joins
 * library and loop is struct share with its four functions, which know nothing of the rest; the
 * order is that of viofs_event_loop(7). Link with libuv.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <viofs/viofs.h>

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define READS 8
#define PIECE (64U << 10)

struct share {
	struct viofs_async *async;
	void (*ended)(void *user, int64_t result);
	uv_poll_t poll;
	uv_prepare_t prepare;
};

/* Before the loop sleeps, whatever has been begun or woken it: drain, arm, till nothing is left. */
static void share_before_sleep(uv_prepare_t *prepare)
{
	struct share *s = (struct share *)prepare->data;
	struct viofs_event events[READS];
	int n;

	do {
		while ((n = viofs_async_poll(s->async, events, READS)) > 0)
			for (int i = 0; i < n; i++)
				s->ended(events[i].user, events[i].result);
	} while (viofs_async_arm(s->async));
	/* The loop lives as long as calls are under way. */
	if (viofs_async_pending(s->async))
		uv_ref((uv_handle_t *)&s->poll);
	else
		uv_unref((uv_handle_t *)&s->poll);
}

static void share_is_readable(uv_poll_t *poll, int status, int events)
{
	/* It has woken the loop, which comes to share_before_sleep() next. */
	(void)poll;
	(void)status;
	(void)events;
}

static int share_join(struct share *s, uv_loop_t *loop)
{
	int rc = uv_poll_init(loop, &s->poll, viofs_async_fd(s->async));

	if (rc)
		return rc;
	uv_prepare_init(loop, &s->prepare);
	s->prepare.data = s;
	uv_prepare_start(&s->prepare, share_before_sleep);
	uv_unref((uv_handle_t *)&s->prepare);
	return uv_poll_start(&s->poll, UV_READABLE, share_is_readable);
}

/* Before viofs_async_close(); the handles are free when uv_run() has returned again. */
static void share_leave(struct share *s)
{
	uv_close((uv_handle_t *)&s->poll, NULL);
	uv_close((uv_handle_t *)&s->prepare, NULL);
}

/* What the program does with it. */
static struct {
	struct share share;
	struct viofs_file *file;
	uint64_t next, lines, bytes;
	int64_t error;
} count;

static void begin(char *piece)
{
	int rc = viofs_file_pread_async(count.share.async, count.file, piece, PIECE, count.next,
					piece);

	count.next += PIECE;
	if (rc)
		count.error = rc;
}

static void ended(void *user, int64_t result)
{
	char *piece = (char *)user;

	if (result < 0) {
		count.error = result;
		return;
	}
	for (int64_t i = 0; i < result; i++)
		count.lines += piece[i] == '\n';
	count.bytes += (uint64_t)result;
	/* A piece that is short was the last one. */
	if (result == PIECE && !count.error)
		begin(piece);
}

static void tell(uv_timer_t *timer)
{
	(void)timer;
	fprintf(stderr, "%llu bytes\n", (unsigned long long)count.bytes);
}

static int run(void)
{
	static char pieces[READS][PIECE];
	uv_loop_t *loop = uv_default_loop();
	uv_timer_t timer;
	int rc = share_join(&count.share, loop);

	if (rc) {
		fprintf(stderr, "%s\n", uv_strerror(rc));
		return rc;
	}
	uv_timer_init(loop, &timer);
	uv_timer_start(&timer, tell, 1000, 1000);
	uv_unref((uv_handle_t *)&timer);
	for (int i = 0; i < READS; i++)
		begin(pieces[i]);
	uv_run(loop, UV_RUN_DEFAULT);
	share_leave(&count.share);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	if (count.error)
		fprintf(stderr, "%s\n", strerror((int)-count.error));
	else
		printf("%llu lines\n", (unsigned long long)count.lines);
	return uv_loop_close(loop) || count.error;
}

int main(int argc, char **argv)
{
	struct viofs_session *session = NULL;
	struct viofs_dev *dev = NULL;
	static struct viofs_err err;
	int bad = 1;

	if (argc != 3) {
		fprintf(stderr, "Usage: uv_loop SOURCE FILE\n");
		return 2;
	}
	count.share.ended = ended;
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err) ||
	    viofs_file_open(session, argv[2], 0, O_RDONLY, 0, &count.file, &err) ||
	    viofs_async_open(session, 0, &count.share.async, &err))
		fprintf(stderr, "%s\n", err.text);
	else
		bad = run();
	viofs_async_close(count.share.async);
	viofs_file_close(count.file, NULL);
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return bad;
}
