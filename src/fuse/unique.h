/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How requests to the device are numbered. */
/*
 *   bit 0: an INTERRUPT for the request; 1..16: its place; then how often the place was used
 *
 * So a late answer to what was there before, or to an INTERRUPT, is never taken for another's.
 */
#ifndef VIOFS_FUSE_UNIQUE_H
#define VIOFS_FUSE_UNIQUE_H

#include "base/util.h"

#include <stdint.h>

/* An INTERRUPT of a lock is held until the device has had that for so long, ns: most are answered
 * by then. An INTERRUPT for what was answered already kills QEMU's virtiofsd. */
#define VIOFS_INTERRUPT_HELD_NS (50 * VIOFS_NSEC_PER_MSEC)

/** viofs_unique_of() - of the request that uses @place for the @generation'th time. */
static inline uint64_t viofs_unique_of(uint32_t generation, uint16_t place)
{
	return ((uint64_t)generation << 16 | place) << 1;
}

/** viofs_unique_place() - where the request is, or was. */
static inline uint16_t viofs_unique_place(uint64_t unique)
{
	return (uint16_t)(unique >> 1);
}

/** viofs_unique_interrupt() - of an INTERRUPT for it. */
static inline uint64_t viofs_unique_interrupt(uint64_t unique)
{
	return unique | 1;
}

#endif
