/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lanes tell each other. */
#include "relay/mailbox.h"
#include "base/util.h"
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

bool viofs_mailbox_read(struct viofs_mailbox *m, void *message, size_t size, size_t *len)
{
	const struct viofs_parked *letter;

	pthread_mutex_lock(&m->lock);
	letter = viofs_parking_first(&m->letters);
	if (letter) {
		*len = letter->len;
		viofs_parking_copy(&m->letters, letter, 0, message, VIOFS_MIN(size, *len));
	}
	pthread_mutex_unlock(&m->lock);
	return letter;
}

void viofs_mailbox_drop(struct viofs_mailbox *m)
{
	const struct viofs_parked *letter;

	pthread_mutex_lock(&m->lock);
	letter = viofs_parking_first(&m->letters);
	if (letter)
		viofs_parking_drop(&m->letters, letter);
	atomic_store(&m->full, m->letters.count > 0);
	pthread_mutex_unlock(&m->lock);
}
