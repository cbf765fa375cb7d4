/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes and policy of a relay, and the memory that they take. */
#include "relay/config.h"
#include "base/page.h"
#include "base/util.h"
#include "dma/pages.h"
#include "relay/entry.h"
#include "relay/slots.h"
#include "relay/layout.h"

#include <sched.h>

void viofs_relay_config_default(struct viofs_relay_config *config)
{
	cpu_set_t cpus;

	*config = (struct viofs_relay_config){
		.poll = VIOFS_POLL_ADAPTIVE,
		.spin_us = 300,
		.slots = 128,
		.buffers = 48,
		.max_data = 512 << 10,
		.init_timeout_ms = 30000,
		.end_timeout_ms = 5000,
		.lanes = 1,
	};
	/* With one CPU a spinning thread keeps the thread that it waits for from running. */
	if (!sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) == 1)
		config->spin_us = 0;
}

void viofs_relay_config_arena_sizes(const struct viofs_relay_config *config,
				    size_t sizes[VIOFS_ARENA_SECTIONS])
{
	viofs_layout_sizes(config, sizes);
	viofs_entries_arena_sizes(config->queues * config->depth, config->lanes, sizes);
	viofs_slots_arena_sizes((uint16_t)config->slots, (uint16_t)config->buffers,
				config->max_data, sizes);
}

uint64_t viofs_relay_config_memory(const struct viofs_relay_config *config)
{
	/* Rings share the slots' sections, and may take a page of those more. */
	uint64_t sum = VIOFS_HUGEPAGE_SIZE;
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };

	viofs_relay_config_arena_sizes(config, sizes);
	for (int i = 0; i < VIOFS_ARENA_SPARSE; i++)
		sum += viofs_align_up(sizes[i], VIOFS_HUGEPAGE_SIZE);
	return sum;
}
