/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which channel to the kernel, and how much memory its entries get. */
#ifndef VIOFS_RELAY_CHANNEL_H
#define VIOFS_RELAY_CHANNEL_H

#include "base/err.h"
#include "relay/config.h"

#include <stdint.h>

/** viofs_channel_name() - "uring". */
const char *viofs_channel_name(enum viofs_channel channel);

/** struct viofs_channel_plan - a way to share the memory for data among all queues of the kernel */
struct viofs_channel_plan {
	uint32_t depth;    /* entries of each queue */
	uint32_t max_data; /* bytes of an entry's payload area, and of one READ or WRITE */
	uint32_t
		buffers; /* such areas in all: entries', and others for what comes over /dev/fuse */
	uint32_t slots;  /* in all, likewise: as many as were given, or more */
};

/**
 * viofs_channel_plan() - entries for @queues queues out of @memory bytes
 * With many queues requests get smaller before each queue has fewer entries than it takes to keep a
 * device busy, and with more than @slots have room for there are more slots, out of @memory too.
 * Never takes more than @memory.
 * Return: 0; -ENOSPC: not even one entry of 128 KiB for each.
 */
int viofs_channel_plan(uint32_t queues, uint64_t memory, uint32_t max_data, uint32_t slots,
		       struct viofs_channel_plan *out);

/**
 * viofs_channel_memory() - the least @memory that viofs_channel_plan() finds enough
 * Return: bytes; 0: no memory is, there are too many queues.
 */
uint64_t viofs_channel_memory(uint32_t queues, uint32_t slots);

/* Slots and buffers that entries leave: for /dev/fuse, where FORGETs, and at first all requests,
 * come from. */
#define VIOFS_CHANNEL_SPARE_SLOTS 32U
#define VIOFS_CHANNEL_SPARE_BUFFERS 4U

/**
 * viofs_channel_plan_config() - the plan for @queues, put into @config
 * Return: 0; -ENOSPC with what to do in @err, and @config as it was.
 */
int viofs_channel_plan_config(struct viofs_relay_config *config, uint32_t queues,
			      struct viofs_err *err);

/**
 * viofs_channel_choose() - settle @config->channel (AUTO becomes one of the others) and what goes
 * with it Before memory is reserved. Return: 0; -ENOTSUP, -ENOSPC: io_uring was asked for and can't
 * be had, with what to do in @err.
 */
int viofs_channel_choose(struct viofs_relay_config *config, struct viofs_err *err);

#endif
