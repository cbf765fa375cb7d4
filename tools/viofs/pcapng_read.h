/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One packet of a file that viofsctl capture has written. */
#ifndef VIOFS_TOOLS_PCAPNG_READ_H
#define VIOFS_TOOLS_PCAPNG_READ_H

#include "packet.h"

#include <stddef.h>

/** struct viofs_pcapng_found - a packet; message: to be freed */
struct viofs_pcapng_found {
	struct viofs_packet packet;
	uint8_t *message;
	uint32_t captured; /* bytes of it */
};

/**
 * viofs_pcapng_find() - packet @number of @path, as Wireshark counts: from 1
 * Nothing in the file is believed. Return: NULL and *@out; or what is wrong.
 */
const char *viofs_pcapng_find(const char *path, unsigned long number,
			      struct viofs_pcapng_found *out);

#endif
