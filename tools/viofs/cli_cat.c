/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs cat: a file to standard output, with several reads ahead of what is written.
 *
 * The program's one thread; the reader owns its file, a user of calls and the blocks, and gives
 * them back when a file has ended.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (1U << 20)
#define AHEAD 8U

struct block {
	uint8_t *data;
	bool waits;   /* a read is under way */
	bool free_it; /* malloc()ed: no DMA memory was left */
	int64_t result;
};

/* A ring: block i % AHEAD has what is at i * BLOCK. */
struct reader {
	struct viofs_cli *cli;
	struct viofs_async *async;
	struct viofs_file *file;
	struct block blocks[AHEAD];
	uint64_t asked, size; /* blocks asked for; bytes that stat promised */
};

static int ask(struct reader *r)
{
	struct block *b = &r->blocks[r->asked % AHEAD];
	int rc = viofs_file_pread_async(r->async, r->file, b->data, BLOCK, r->asked * BLOCK, b);

	if (!rc) {
		b->waits = true;
		r->asked++;
	}
	return rc;
}

static int await(struct reader *r, struct block *b)
{
	struct viofs_event events[AHEAD];

	while (b->waits) {
		int count = viofs_async_wait(r->async, events, 1, AHEAD, -1);

		if (count <= 0)
			return -EIO;
		for (int i = 0; i < count; i++) {
			struct block *done = events[i].user;

			done->result = events[i].result;
			done->waits = false;
		}
	}
	return 0;
}

static int write_all(const uint8_t *data, size_t size)
{
	while (size) {
		ssize_t n = write(STDOUT_FILENO, data, size);

		if (n < 0 && errno == EINTR && !viofs_cli_stopped())
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Return: 0; a negative errno of the share's; a positive one of standard output's. */
static int copy(struct reader *r)
{
	int rc = 0;

	for (uint64_t i = 0; !viofs_cli_stopped(); i++) {
		struct block *b = &r->blocks[i % AHEAD];

		/* One read beyond the size: what grows meanwhile is read to its end. */
		while (!rc &&
		       (r->asked <= i || (r->asked < i + AHEAD && r->asked * BLOCK < r->size)))
			rc = ask(r);
		if (!rc)
			rc = await(r, b);
		if (rc || b->result < 0)
			return rc ? rc : (int)b->result;
		rc = -write_all(b->data, (size_t)b->result);
		if (rc || b->result < BLOCK)
			return rc;
	}
	return 0;
}

static void settle(struct reader *r)
{
	for (unsigned int i = 0; i < AHEAD; i++)
		await(r, &r->blocks[i]);
}

static bool cat(struct reader *r, const char *argument)
{
	char *path = viofs_cli_path(r->cli, argument);
	struct viofs_err err;
	struct stat st;
	int rc = viofs_file_open(r->cli->session, path, 0, O_RDONLY, 0, &r->file, &err);

	free(path);
	if (rc) {
		viofs_cli_fail(r->cli, argument, rc, &err);
		return true;
	}
	r->asked = 0;
	r->size = viofs_file_stat(r->file, &st, NULL) ? 0 : (uint64_t)st.st_size;
	rc = copy(r);
	settle(r);
	viofs_file_close(r->file, NULL);
	/* A reader that has seen enough is no error; stop reading. */
	if (rc == EPIPE)
		return false;
	if (rc)
		viofs_cli_fail(r->cli, rc > 0 ? "standard output" : argument, rc > 0 ? -rc : rc,
			       NULL);
	return rc <= 0;
}

int viofs_cli_cat(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	struct reader r = { .cli = cli };
	struct viofs_err err;
	bool good = true;

	if (viofs_async_open(cli->session, AHEAD, &r.async, &err))
		return viofs_cli_say("%s", err.text);
	for (unsigned int i = 0; i < AHEAD && good; i++) {
		r.blocks[i].data = viofs_dma_alloc(cli->dev, BLOCK);
		r.blocks[i].free_it = !r.blocks[i].data;
		if (!r.blocks[i].data)
			r.blocks[i].data = malloc(BLOCK);
		good = r.blocks[i].data != NULL;
	}
	if (!good)
		cli->status = viofs_cli_say("Out of memory.");
	for (int i = 0; i < args->count && good && !viofs_cli_stopped(); i++)
		good = cat(&r, args->paths[i]);
	viofs_async_close(r.async);
	for (unsigned int i = 0; i < AHEAD; i++) {
		if (r.blocks[i].free_it)
			free(r.blocks[i].data);
		else
			viofs_dma_free(cli->dev, r.blocks[i].data);
	}
	return 0;
}
