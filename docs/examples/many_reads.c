/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* many_reads SOURCE FILE: reads a file with 64 reads in flight, with no copy, and says how fast
 * that was. */
#include <viofs/viofs.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define IN_FLIGHT 64
#define BLOCK 65536U

/* Where a read is to go next: DMA memory, which the device itself writes to. */
struct block {
	char *memory;
	uint64_t offset;
};

static double seconds(void)
{
	struct timespec now;

	timespec_get(&now, TIME_UTC);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Send @block's read, if there is something left to read. Return: 0 or a negative errno. */
static int next(struct viofs_async *async, struct viofs_file *file, struct block *block,
		uint64_t *offset, uint64_t size)
{
	if (*offset >= size)
		return 0;
	block->offset = *offset;
	*offset += BLOCK;
	return viofs_file_pread_async(async, file, block->memory, BLOCK, block->offset, block);
}

static int64_t read_all(struct viofs_async *async, struct viofs_file *file, struct block *blocks,
			uint64_t size)
{
	struct viofs_event events[IN_FLIGHT];
	uint64_t offset = 0;
	int64_t bytes = 0;
	int rc = 0;

	for (int i = 0; i < IN_FLIGHT && !rc; i++)
		rc = next(async, file, &blocks[i], &offset, size);
	while (!rc && viofs_async_pending(async)) {
		int n = viofs_async_wait(async, events, 1, IN_FLIGHT, -1);

		for (int i = 0; i < n && !rc; i++) {
			/* Here is the place to use the block's memory. */
			bytes += events[i].result > 0 ? events[i].result : 0;
			rc = events[i].result < 0
				     ? (int)events[i].result
				     : next(async, file, (struct block *)events[i].user, &offset,
					    size);
		}
	}
	return rc ? rc : bytes;
}

int main(int argc, char **argv)
{
	struct block blocks[IN_FLIGHT];
	struct viofs_session *session = NULL;
	struct viofs_async *async = NULL;
	struct viofs_file *file = NULL;
	static struct viofs_err err;
	struct viofs_dev *dev = NULL;
	struct stat st;
	char *memory = NULL;
	int64_t bytes = -1;
	double start;

	if (argc == 3 && !viofs_dev_open(argv[1], NULL, &dev, &err) &&
	    !viofs_session_open(dev, NULL, &session, &err) &&
	    !viofs_file_open(session, argv[2], 0, O_RDONLY, 0, &file, &err) &&
	    !viofs_file_stat(file, &st, &err) &&
	    !viofs_async_open(session, IN_FLIGHT, &async, &err))
		memory = (char *)viofs_dma_alloc(dev, (size_t)IN_FLIGHT * BLOCK);
	if (memory) {
		for (int i = 0; i < IN_FLIGHT; i++)
			blocks[i].memory = memory + (size_t)i * BLOCK;
		start = seconds();
		bytes = read_all(async, file, blocks, (uint64_t)st.st_size);
		printf("%" PRId64 " bytes, %.0f MB/s\n", bytes,
		       (double)bytes / 1e6 / (seconds() - start));
	} else {
		fprintf(stderr, "%s\n", err.text);
	}
	viofs_async_close(async); /* waits for what is in flight: before its memory is given back */
	if (dev)
		viofs_dma_free(dev, memory);
	viofs_file_close(file, NULL);
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return bytes < 0;
}
