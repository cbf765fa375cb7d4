/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From /dev/fuse to a slot. */
#ifndef VIOFS_RELAY_PUMP_H
#define VIOFS_RELAY_PUMP_H

#include <stdbool.h>

struct viofs_lane;

/**
 * viofs_pump_requests() - read what the kernel has in /dev/fuse, up to @most
 * Return: how many; -ENODEV, -ECONNABORTED: unmounted or aborted; -ENOMEM.
 */
int viofs_pump_requests(struct viofs_lane *lane, int most);

/** viofs_pump_landed() - take up the request that another process has read, and no more: its header
 * is in the lane's state. */
void viofs_pump_landed(struct viofs_lane *lane);

struct viofs_parking;
struct viofs_parked;

/** viofs_pump_can_unpark() - is it a request that would be parked there? */
bool viofs_pump_can_unpark(const struct viofs_lane *lane, const struct viofs_parking *from,
			   const struct viofs_parked *parked);

/** viofs_pump_is_full() - is as much parked as may be? Then the kernel keeps what it has, and isn't
 * polled for it. */
bool viofs_pump_is_full(const struct viofs_lane *lane);

/** viofs_pump_kept() - send what had to wait, as far as slots, buffers and rings allow. */
void viofs_pump_kept(struct viofs_lane *lane);

#endif
