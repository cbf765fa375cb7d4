/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What would help, in the words of the daemon's options. */
#include "daemon/remedy.h"

static const char *const advice[VIOFS_REMEDIES] = {
	[VIOFS_REMEDY_LESS_MEMORY] = "-o dma-mem= asks for less.",
	[VIOFS_REMEDY_MORE_MEMORY] = "-o dma-mem= gives more; -o channel=dev needs none of that.",
	[VIOFS_REMEDY_ALLOW_NOIOMMU] = "If you trust it, say -o allow-unsafe-noiommu.",
	[VIOFS_REMEDY_FEWER_QUEUES] = "-o queues= asks for fewer.",
	[VIOFS_REMEDY_ANY_RING] = "Without -o ring=packed split ones are used.",
	[VIOFS_REMEDY_NO_NOTIFICATIONS] = "-o notify=off does without.",
	[VIOFS_REMEDY_NO_INTERRUPTS] = "-o poll=busy needs none.",
	[VIOFS_REMEDY_LONGER_INIT] = "-o init-timeout= waits longer.",
	[VIOFS_REMEDY_ONE_LANE] = "-o lanes=1 does without.",
	[VIOFS_REMEDY_OTHER_CHANNEL] = "-o channel=dev does without.",
};

void viofs_remedy_add(struct viofs_err *err)
{
	viofs_err_advise(err, advice);
}
