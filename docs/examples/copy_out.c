/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file of the share into one of this machine, with 16 reads in flight, which the device makes
 * straight into DMA memory: copy_out SOURCE FILE LOCAL
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <viofs/viofs.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READS 16
#define PIECE (256U << 10)

struct piece {
	char *memory;
	uint64_t offset;
};

static int begin(struct viofs_async *async, struct viofs_file *file, struct piece *p, uint64_t at)
{
	p->offset = at;
	return viofs_file_pread_async(async, file, p->memory, PIECE, at, p);
}

static int write_all(int fd, const struct piece *p, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(fd, p->memory + done, size - done, (off_t)(p->offset + done));

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* Return: bytes, or a negative errno. */
static int64_t copy(struct viofs_dev *dev, struct viofs_async *async, struct viofs_file *file,
		    int fd)
{
	struct piece pieces[READS];
	struct viofs_event events[READS];
	uint64_t next = 0, all = 0;
	int64_t rc = 0;

	for (int i = 0; i < READS && !rc; i++, next += PIECE) {
		pieces[i].memory = (char *)viofs_dma_alloc(dev, PIECE);
		rc = pieces[i].memory ? begin(async, file, &pieces[i], next) : -ENOMEM;
	}
	while (viofs_async_pending(async)) {
		int n = viofs_async_wait(async, events, 1, READS, -1);

		for (int i = 0; i < n; i++) {
			struct piece *p = (struct piece *)events[i].user;

			if (events[i].result < 0 && !rc)
				rc = events[i].result;
			if (rc || events[i].result <= 0)
				continue; /* what is under way is waited for */
			rc = write_all(fd, p, (size_t)events[i].result);
			all += (uint64_t)events[i].result;
			/* A piece that is short was the last one. */
			if (!rc && events[i].result == PIECE) {
				rc = begin(async, file, p, next);
				next += PIECE;
			}
		}
	}
	/* viofs_dev_close() frees the memory. */
	return rc ? rc : (int64_t)all;
}

int main(int argc, char **argv)
{
	struct viofs_session *session = NULL;
	struct viofs_async *async = NULL;
	struct viofs_file *file = NULL;
	struct viofs_dev *dev = NULL;
	static struct viofs_err err;
	int64_t n = -1;
	int fd = -1;

	if (argc != 4) {
		fprintf(stderr, "Usage: copy_out SOURCE FILE LOCAL\n");
		return 2;
	}
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err) ||
	    viofs_async_open(session, 0, &async, &err) ||
	    viofs_file_open(session, argv[2], 0, O_RDONLY, 0, &file, &err)) {
		fprintf(stderr, "%s\n", err.text);
	} else {
		fd = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644);
		n = fd < 0 ? -errno : copy(dev, async, file, fd);
		if (fd >= 0 && close(fd) && n >= 0)
			n = -errno;
		if (n < 0)
			fprintf(stderr, "%s: %s\n", argv[3], strerror((int)-n));
		else
			printf("%lld bytes copied\n", (long long)n);
	}
	viofs_file_close(file, NULL);
	viofs_async_close(async);
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return n < 0;
}
