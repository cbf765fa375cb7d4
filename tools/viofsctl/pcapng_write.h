/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pcapng, written: section header, an interface for each ring, packets, statistics at the end. */
#ifndef VIOFS_TOOLS_PCAPNG_WRITE_H
#define VIOFS_TOOLS_PCAPNG_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct viofs_pcapng - a file that is being written; whole blocks at a time */
struct viofs_pcapng {
	int fd;
	uint8_t *buffer;
	size_t len, room;
	int rc; /* of the first failure; nothing is written after it */
};

/** viofs_pcapng_begin() - @fd: stays the caller's. Return: 0 or -errno. */
int viofs_pcapng_begin(struct viofs_pcapng *p, int fd, const char *program);

/** viofs_pcapng_interface() - they are counted from 0 in this order. */
void viofs_pcapng_interface(struct viofs_pcapng *p, unsigned int linktype, uint32_t snap,
			    const char *name, const char *description);

/**
 * viofs_pcapng_packet() - @head and @message are its data
 * @time: ns since 1970. @len: of both, as it was before it was cut. @inbound: from the device.
 * @lost: packets of this interface before it.
 */
void viofs_pcapng_packet(struct viofs_pcapng *p, unsigned int interface, uint64_t time,
			 const void *head, uint32_t head_len, const void *message,
			 uint32_t captured, uint32_t len, bool inbound, uint64_t lost);

/** viofs_pcapng_statistics() - of one interface, at the end. */
void viofs_pcapng_statistics(struct viofs_pcapng *p, unsigned int interface, uint64_t time,
			     uint64_t packets, uint64_t lost);

/** viofs_pcapng_flush() - what is there is in the file from now on. Return: 0 or -errno. */
int viofs_pcapng_flush(struct viofs_pcapng *p);

/** viofs_pcapng_end() - flush, and free. Return: 0 or -errno. */
int viofs_pcapng_end(struct viofs_pcapng *p);

#endif
