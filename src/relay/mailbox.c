/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lanes tell each other. */
#include "relay/mailbox.h"
#include "relay/lane.h"
#include "relay/session.h"

#include <string.h>

void viofs_mailbox_init(struct viofs_mailbox *m)
{
	memset(m, 0, sizeof(*m));
	pthread_mutex_init(&m->lock, NULL);
}

int viofs_mailbox_pass(struct viofs_lane *to, void *message, size_t len)
{
	const struct iovec iov = { message, len };
	struct viofs_mailbox *m = &to->mailbox;
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = viofs_parking_put(&m->letters, &iov, len, 0);
	if (!rc)
		atomic_store(&m->full, true);
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		viofs_lane_wake(to);
	return rc;
}

struct viofs_parked *viofs_mailbox_take(struct viofs_mailbox *m)
{
	struct viofs_parked *letter;

	pthread_mutex_lock(&m->lock);
	letter = viofs_parking_take(&m->letters);
	atomic_store(&m->full, m->letters.count > 0);
	pthread_mutex_unlock(&m->lock);
	return letter;
}
