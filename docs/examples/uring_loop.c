/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* uring_loop SOURCE FILE: copies a file to standard output from an event loop by io_uring(7), which
 * writes while the device reads on. Link it with liburing. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* liburing needs it */
#endif

#include <viofs/viofs.h>

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define EVENTS 16
#define BLOCK 65536U
#define BLOCKS 4

enum state { FREE, READING, READ, WRITING };

/* A piece of the file: read, then written, in the order of the file. */
struct block {
	enum state state;
	unsigned int size, written;
	char data[BLOCK];
};

static struct {
	struct viofs_async *async;
	struct viofs_file *file;
	struct io_uring ring;
	struct block blocks[BLOCKS];
	uint64_t begun, done; /* blocks: the next to read, the next to write */
	int end, error;       /* there is no more to read; a negative errno */
	int polled;           /* the ring looks at the library's descriptor */
} c;

static void ended(struct block *b, int64_t result)
{
	if (result < 0)
		c.error = (int)result;
	b->state = READ;
	b->size = result > 0 ? (unsigned int)result : 0;
	b->written = 0;
	c.end |= b->size < BLOCK;
}

static void drain(void)
{
	struct viofs_event events[EVENTS];
	int n;

	while ((n = viofs_async_poll(c.async, events, EVENTS)) > 0)
		for (int i = 0; i < n; i++)
			ended((struct block *)events[i].user, events[i].result);
}

/* Reads as far ahead as there are blocks; one write at a time. */
static void go_on(void)
{
	struct block *b = &c.blocks[c.done % BLOCKS];
	struct io_uring_sqe *sqe;

	while (!c.end && !c.error && c.begun < c.done + BLOCKS) {
		struct block *next = &c.blocks[c.begun % BLOCKS];

		next->state = READING;
		c.error = viofs_file_pread_async(c.async, c.file, next->data, BLOCK,
						 c.begun * BLOCK, next);
		if (c.error)
			next->state = FREE;
		else
			c.begun++;
	}
	if (b->state != READ || c.done == c.begun)
		return;
	sqe = io_uring_get_sqe(&c.ring);
	io_uring_prep_write(sqe, STDOUT_FILENO, b->data + b->written, b->size - b->written,
			    (__u64)-1);
	io_uring_sqe_set_data(sqe, b);
	b->state = WRITING;
}

static void wrote(struct block *b, int result)
{
	if (result < 0)
		c.error = result;
	else
		b->written += (unsigned int)result;
	b->state = READ;
	if (result < 0 || b->written == b->size) {
		b->state = FREE;
		c.done++;
	}
}

/* The library's descriptor is one more thing that the ring waits for. */
static void sleep_in_ring(void)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;

	if (!c.polled) {
		sqe = io_uring_get_sqe(&c.ring);
		io_uring_prep_poll_add(sqe, viofs_async_fd(c.async), POLLIN);
		io_uring_sqe_set_data(sqe, NULL);
		c.polled = 1;
	}
	if (io_uring_submit_and_wait(&c.ring, 1) < 0)
		return;
	while (!io_uring_peek_cqe(&c.ring, &cqe)) {
		struct block *b = (struct block *)io_uring_cqe_get_data(cqe);

		if (b)
			wrote(b, cqe->res);
		else
			c.polled = 0;
		io_uring_cqe_seen(&c.ring, cqe);
	}
}

static void run(void)
{
	go_on();
	/* Until all that was begun has been written, or nothing more will be. */
	while (c.done < c.begun && !c.error) {
		drain();
		go_on();
		if (viofs_async_arm(c.async)) /* there is more already: don't sleep */
			io_uring_submit(&c.ring);
		else
			sleep_in_ring();
		go_on();
	}
}

int main(int argc, char **argv)
{
	static struct viofs_err err;
	struct viofs_session *session = NULL;
	struct viofs_dev *dev = NULL;

	c.error = -EINVAL;
	if (argc == 3 && !viofs_dev_open(argv[1], NULL, &dev, &err) &&
	    !viofs_session_open(dev, NULL, &session, &err) &&
	    !viofs_file_open(session, argv[2], 0, O_RDONLY, 0, &c.file, &err) &&
	    !viofs_async_open(session, 0, &c.async, &err)) {
		c.error = io_uring_queue_init(8, &c.ring, 0);
		if (!c.error) {
			run();
			io_uring_queue_exit(&c.ring);
		}
	} else {
		fprintf(stderr, "%s\n", argc == 3 ? err.text : "usage: uring_loop SOURCE FILE");
	}
	viofs_async_close(c.async); /* waits for reads: their memory is the program's */
	viofs_file_close(c.file, NULL);
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return c.error < 0;
}
