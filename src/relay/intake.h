/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From an entry of the io_uring channel to a slot. */
#ifndef VIOFS_RELAY_INTAKE_H
#define VIOFS_RELAY_INTAKE_H

struct viofs_lane;

/** viofs_intake() - submit the requests that have arrived in entries. Return: how many. */
int viofs_intake(struct viofs_lane *lane);

#endif
