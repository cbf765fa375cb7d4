/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtio-fs PCI function in memory, behind struct viofs_vfio_ops, that can be told to misbehave.
 */
#ifndef TESTS_UNIT_MODEL_FUNCTION_H
#define TESTS_UNIT_MODEL_FUNCTION_H

#include "vfio/vfio.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_QUEUES 16U
#define MODEL_VECTORS_MAX 16U
#define MODEL_MAPS 64U
#define MODEL_NO_VECTOR 0xffffU

/* Where the structures are in BAR 4, unless a test moves them. */
#define MODEL_BAR 4U
#define MODEL_BAR_SIZE 0x4000U
#define MODEL_COMMON 0x0000U
#define MODEL_ISR 0x1000U
#define MODEL_DEVICE 0x2000U
#define MODEL_NOTIFY 0x3000U
#define MODEL_MULTIPLIER 4U

#define MODEL_COMMAND 0x04U
#define MODEL_COMMAND_MASTER 0x04U
/* Positions of the capabilities in configuration space. */
#define MODEL_CAP_COMMON 0x40U
#define MODEL_CAP_ISR 0x50U
#define MODEL_CAP_DEVICE 0x60U
#define MODEL_CAP_NOTIFY 0x70U
#define MODEL_CAP_MSIX 0x90U
/* Fields of struct virtio_pci_cap. */
#define MODEL_CAP_BAR 4U
#define MODEL_CAP_OFFSET 8U
#define MODEL_CAP_LENGTH 12U
#define MODEL_CAP_MULTIPLIER 16U

struct model_queue {
	uint16_t max, size, vector, notify_off;
	bool enabled;
	uint64_t desc, driver, device;
	unsigned int notified;
	uint16_t seen, used_idx;   /* the device's own indices; packed: places in the ring */
	bool seen_wrap, used_wrap; /* packed: their wrap counters */
};

/* What the function does wrong; all zero: nothing. */
struct model_faults {
	int reset_polls;           /* status reads until a reset is finished, -1: never */
	_Atomic bool gone;         /* everything reads as all ones */
	bool refuse_features;      /* FEATURES_OK doesn't stick */
	bool gone_at_features;     /* gone once FEATURES_OK is written */
	bool needs_reset;          /* NEEDS_RESET when DRIVER_OK is written */
	bool gone_at_start;        /* gone once DRIVER_OK is written */
	bool ignore_driver_ok;     /* DRIVER_OK doesn't stick */
	int generation_moves;      /* config_generation changes on so many reads, -1: on all */
	bool refuse_all_vectors;   /* every queue_msix_vector reads back NO_VECTOR */
	unsigned int vector_limit; /* so many vectors can be used, 0: all */
	bool refuse_sharing;       /* a vector serves one queue */
	int msix_error;            /* what msix_set returns */
	int unmap_error;           /* what unmap returns, and does nothing */
	bool no_function_reset;    /* the function has none */
	bool function_reset_lies;  /* it has one that does nothing */
	bool master_sticks;        /* bus mastering can't be switched off */
	bool ignore_size;          /* writes to queue_size are lost */
	bool enabled_at_reset;     /* queues come enabled out of a reset */
};

struct model_map {
	uint8_t *vaddr;
	size_t len;
	uint64_t iova;
	unsigned int access;
};

/* Fields are for tests to set before, and to look at after. */
struct model_function {
	struct viofs_vfio vfio; /* first */
	uint8_t config[256];
	uint64_t bar_size[6];
	uint8_t device_config[64];
	uint32_t device_length; /* bytes of device_config that a read may touch */
	uint64_t features;
	uint16_t num_queues;
	struct model_queue queues[MODEL_QUEUES];
	struct model_faults faults;

	/* registers */
	uint32_t device_feature_select, driver_feature_select, queue_select;
	uint64_t driver_features;
	uint16_t config_vector;
	_Atomic uint8_t status;
	uint8_t generation;
	int polls_left; /* of a reset under way */
	bool resetting;
	pthread_mutex_t *busy; /* held while the device works on its rings; NULL: nobody does */

	/* what was done to it */
	int eventfds[MODEL_VECTORS_MAX];
	unsigned int vectors_on, msix_calls, resets, function_resets;
	_Atomic unsigned int accesses;
	struct model_map maps[MODEL_MAPS];
	unsigned int map_count;
	const char *violation; /* the first thing a driver must not do, NULL = none */
	bool closed;
	const char
		*_Atomic lost; /* what the kernel has said about the function, see model_alert() */
};

/* A good function: @requests request queues of 128 entries, tag "myfs", VERSION_1 and no more. */
void model_init(struct model_function *m, unsigned int requests);

/* And with @features, queues of @size entries, and model_alert(), by a descriptor that is to be
 * closed. */
void model_equip(struct model_function *m, uint64_t features, uint16_t size);

void model_set_tag(struct model_function *m, const char *tag, size_t len);
void model_set_requests(struct model_function *m, uint32_t n);
void model_set_config32(struct model_function *m, unsigned int off, uint32_t value);

/* Memory at @iova as the device gets at it; fails the test where it isn't mapped for @access. */
void *model_memory(struct model_function *m, uint64_t iova, size_t len, unsigned int access);

/* Could the device write to its memory now? */
bool model_reaches_memory(const struct model_function *m);

/* The kernel says that the function is @how ("is being unplugged"). */
void model_alert(struct model_function *m, const char *how);

/* The device takes the next chain of queue @q. Return: its head, or -1. */
int model_pop(struct model_function *m, unsigned int q);

/* The device completes @id, and signals the queue's vector where the driver asked for it by flag.
 */
void model_push(struct model_function *m, unsigned int q, uint32_t id, uint32_t len);

#endif
