/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INIT: the kernel, the relay and the device agree on a session. */
#ifndef VIOFS_RELAY_HANDSHAKE_H
#define VIOFS_RELAY_HANDSHAKE_H

struct viofs_lane;

/** viofs_handshake() - relay INIT, and start the channel that it agreed on. The first lane.
 * Return: 0; -errno with the relay's err. */
int viofs_handshake(struct viofs_lane *lane);

#endif
