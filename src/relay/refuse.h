/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mount whose device was lost.
 *
 * It stays, and answers EIO. Taken away, it would uncover the directory below, and whoever goes on
 * writing would fill that one without knowing. Writing back dirty pages fails at once, so an
 * unmount has nothing to wait for.
 */
#ifndef VIOFS_RELAY_REFUSE_H
#define VIOFS_RELAY_REFUSE_H

struct viofs_lane;

/** viofs_refuse() - answer every request of the lane with EIO until the mount is gone; in the
 * thread that it started with. Return: 0, or -errno of reading /dev/fuse. */
int viofs_refuse(struct viofs_lane *lane);

#endif
