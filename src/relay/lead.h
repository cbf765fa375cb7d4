/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thread that leads a lane: from serving to the end. */
#ifndef VIOFS_RELAY_LEAD_H
#define VIOFS_RELAY_LEAD_H

struct viofs_lane;

/** viofs_lead() - serve, and end what was served; by the thread that leads the lane. */
void viofs_lead(struct viofs_lane *lane);

#endif
