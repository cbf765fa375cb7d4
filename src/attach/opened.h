/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device in use, from "found" to "given back": what the daemon and the library have in common. */
#ifndef VIOFS_ATTACH_OPENED_H
#define VIOFS_ATTACH_OPENED_H

#include "attach/attach.h"
#include "attach/hold.h"
#include "attach/source.h"

/**
 * struct viofs_opened - its parts in the order in which they are got
 * After a step that has failed, viofs_opened_close() undoes those before it.
 */
struct viofs_opened {
	struct viofs_hold hold;
	struct viofs_fs *fs;
	struct viofs_arena *arena;
};

/** struct viofs_opened_memory - what viofs_opened_start() reserves beside the queues' own */
struct viofs_opened_memory {
	size_t sizes[VIOFS_ARENA_SECTIONS]; /* bytes */
	bool small_pages;                   /* no hugepages */
	bool not_for_children;              /* a child of fork(2) has none of it */
};

/**
 * viofs_opened_hold() - nobody else of this project uses it from now on
 * @name: what the user calls it.
 * @wait_ms: for another holder that is about to end.
 * Return: 0; -EBUSY: somebody has it; as viofs_hold_take(), with @err.
 */
int viofs_opened_hold(struct viofs_opened *o, const struct viofs_source *s, const char *name,
		      int wait_ms, struct viofs_err *err);

/** viofs_opened_open() - as viofs_attach_open(). */
int viofs_opened_open(struct viofs_opened *o, const struct viofs_source *s,
		      const struct viofs_attach_options *options, struct viofs_err *err);

/** viofs_opened_start() - reserve and map memory, start the queues. Return: 0 or -errno, @err. */
int viofs_opened_start(struct viofs_opened *o, const struct viofs_opened_memory *memory,
		       struct viofs_err *err);

/**
 * viofs_opened_let_go() - the device is halted and closed; its record is held, memory stays
 * Bounded in time, also where nobody is there any more. Return: as viofs_attach_close().
 */
int viofs_opened_let_go(struct viofs_opened *o);

/** viofs_opened_halt() - stop the device before memory goes; for a process that may do no more */
void viofs_opened_halt(struct viofs_opened *o, int timeout_ms);

/**
 * viofs_opened_drop_dma() - close this process's copies of the descriptors that only mapping needs
 */
void viofs_opened_drop_dma(struct viofs_opened *o);

/**
 * viofs_opened_close_copies() - close this process's copies of the device's descriptors; another
 * process has the device
 */
void viofs_opened_close_copies(struct viofs_opened *o);

/**
 * viofs_opened_close() - let go if that is left to do, free the memory, give the device back to its
 * former driver. Return: 0 or -errno with @err.
 */
int viofs_opened_close(struct viofs_opened *o, struct viofs_err *err);

#endif
