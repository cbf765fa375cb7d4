/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The descriptor's side of a copy between it and a file (file_fd.c).
 *
 * With a place in the descriptor a chunk is read or written there at once. Without one the
 * descriptor is a stream: an answer that came too early waits (io->early) until the bytes in front
 * of it are there. Bytes that were read from the descriptor and found no room at the device are
 * kept (io->held), since a stream gives them once only.
 *
 * What is kept is the op's, and all of this runs in the op's thread, system calls on the descriptor
 * included.
 */
#include "client/fd_side.h"
#include "base/util.h"

#include <errno.h>
#include <unistd.h>

static bool is_stream(const struct viofs_io *io)
{
	return io->fd_offset < 0;
}

/* All of it, or up to the end. Return: bytes; -errno where there were none. */
static int64_t read_all(const struct viofs_io *io, uint8_t *to, uint64_t at, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = is_stream(io) ? read(io->fd, to + done, len - done)
					  : pread(io->fd, to + done, len - done,
						  (off_t)((uint64_t)io->fd_offset + at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !done)
			return -errno;
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

static int write_all(const struct viofs_io *io, const uint8_t *from, uint64_t at, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = is_stream(io) ? write(io->fd, from + done, len - done)
					  : pwrite(io->fd, from + done, len - done,
						   (off_t)((uint64_t)io->fd_offset + at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

int64_t viofs_fd_fill(struct viofs_chunk *chunk)
{
	int64_t n = read_all(&chunk->call.op->io, chunk->bounce, chunk->at, chunk->len);

	if (n >= 0)
		chunk->len = (uint64_t)n;
	return n;
}

/* What comes next, and is there. Return: 0 or -errno, at io->passed. */
static int pass_on(struct viofs_io *io)
{
	int rc = 0;

	while (!rc && io->early && io->early->at == io->passed) {
		struct viofs_chunk *chunk = io->early;

		io->early = chunk->next;
		rc = write_all(io, chunk->bounce, chunk->at, chunk->got);
		if (!rc)
			io->passed += chunk->got;
		viofs_chunk_free(chunk);
	}
	return rc;
}

static void keep(struct viofs_io *io, struct viofs_chunk *chunk)
{
	struct viofs_chunk **at = &io->early;

	while (*at && (*at)->at < chunk->at)
		at = &(*at)->next;
	chunk->next = *at;
	*at = chunk;
}

bool viofs_fd_take(struct viofs_chunk *chunk, uint64_t got, int *error, uint64_t *where)
{
	struct viofs_io *io = &chunk->call.op->io;

	*where = chunk->at;
	if (!is_stream(io)) {
		*error = write_all(io, chunk->bounce, chunk->at, got);
		return false;
	}
	chunk->got = got;
	keep(io, chunk);
	*error = pass_on(io);
	*where = io->passed;
	return true;
}

void viofs_fd_forget(struct viofs_io *io)
{
	if (io->held)
		viofs_chunk_free(io->held);
	while (io->early) {
		struct viofs_chunk *chunk = io->early;

		io->early = chunk->next;
		viofs_chunk_free(chunk);
	}
	io->held = NULL;
}
