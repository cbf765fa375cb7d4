/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of our own to the kernel, and the end of each request. */
#ifndef VIOFS_RELAY_ANSWER_H
#define VIOFS_RELAY_ANSWER_H

#include <stdint.h>

struct viofs_fuse_shape;
struct viofs_lane;
struct viofs_slot;

/** viofs_answer() - answer the kernel without the device. */
void viofs_answer(struct viofs_lane *lane, uint64_t unique, int error);

/** viofs_answer_slot() - the same for the request of a slot, by whichever way it came. */
void viofs_answer_slot(struct viofs_lane *lane, struct viofs_slot *slot, int error);

/** viofs_answer_release() - a slot is done with: accounting, free. */
void viofs_answer_release(struct viofs_lane *lane, struct viofs_slot *slot);

/** viofs_answer_name() - of what is answered: "LOOKUP". */
const char *viofs_answer_name(const struct viofs_fuse_shape *shape);

/** viofs_answer_fault() - note what the device did wrong; logged now and then. */
void viofs_answer_fault(struct viofs_lane *lane, const struct viofs_slot *slot, const char *what);

#endif
