/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Steps that are the same for every virtio device and transport: reset, features, start. */
#include "virtio/virtio.h"

#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* All ones: what a function that has left the bus reads as. */
#define STATUS_GONE 0xffU
#define RESET_POLL_USEC 1000

static const char text_gone[] = "is gone (status 0xff)";
static const char text_needs_reset[] = "needs a reset";

/* Names as the standard writes them (virtio 1.3 5.11.3, 6; SUSPEND: 1.4). */
static const char *const feature_names[] = {
	[0] = "VIRTIO_FS_F_NOTIFICATION",
	[28] = "VIRTIO_F_INDIRECT_DESC",
	[29] = "VIRTIO_F_EVENT_IDX",
	[32] = "VIRTIO_F_VERSION_1",
	[33] = "VIRTIO_F_ACCESS_PLATFORM",
	[34] = "VIRTIO_F_RING_PACKED",
	[35] = "VIRTIO_F_IN_ORDER",
	[36] = "VIRTIO_F_ORDER_PLATFORM",
	[37] = "VIRTIO_F_SR_IOV",
	[38] = "VIRTIO_F_NOTIFICATION_DATA",
	[39] = "VIRTIO_F_NOTIF_CONFIG_DATA",
	[40] = "VIRTIO_F_RING_RESET",
	[41] = "VIRTIO_F_ADMIN_VQ",
	[43] = "VIRTIO_F_SUSPEND",
};

const char *viofs_virtio_feature_name(unsigned int bit)
{
	return bit < VIOFS_ARRAY_SIZE(feature_names) ? feature_names[bit] : NULL;
}

int viofs_virtio_close(struct viofs_virtio *d)
{
	return d ? d->ops->close(d) : 0;
}

static const char *status_fault(struct viofs_virtio *d, uint8_t status)
{
	const char *lost = d->ops->is_lost ? d->ops->is_lost(d) : NULL;

	if (lost)
		return lost;
	if (status == STATUS_GONE)
		return text_gone;
	if (status & VIOFS_VIRTIO_NEEDS_RESET)
		return text_needs_reset;
	return NULL;
}

const char *viofs_virtio_is_lost(struct viofs_virtio *d)
{
	return status_fault(d, d->ops->status_get(d));
}

bool viofs_virtio_is_away(struct viofs_virtio *d)
{
	return d->ops->is_away && d->ops->is_away(d);
}

int viofs_virtio_reset(struct viofs_virtio *d, int timeout_ms, struct viofs_err *err)
{
	int64_t end = viofs_now_ns() + timeout_ms * VIOFS_NSEC_PER_MSEC;
	const char *lost;
	uint8_t status;

	d->ops->status_set(d, 0);
	for (;;) {
		status = d->ops->status_get(d);
		if (!status)
			return 0;
		lost = status == STATUS_GONE && d->ops->is_lost ? d->ops->is_lost(d) : NULL;
		if (lost)
			return viofs_err_set(err, -ENODEV, "The device %s.", lost);
		if (status == STATUS_GONE)
			return viofs_err_set(
				err, -ENODEV,
				"The device %s: it was unplugged, or its memory is not "
				"enabled.",
				text_gone);
		if (viofs_now_ns() - end >= 0)
			break;
		usleep(RESET_POLL_USEC);
	}
	return viofs_err_set(
		err, -ETIMEDOUT,
		"The device did not finish its reset within %d ms (status 0x%02x). Look at "
		"the device's side, the program or the card that serves it.",
		timeout_ms, status);
}

/* Return: 0: the device reaches no memory. */
static int cut_off(struct viofs_virtio *d, bool function_reset)
{
	int rc;

	if (function_reset && d->ops->function_reset && !d->ops->function_reset(d) &&
	    !d->ops->status_get(d))
		return 0;
	if (!d->ops->dma_set)
		return -EOPNOTSUPP;
	rc = d->ops->dma_set(d, false);
	return rc == -ENODEV ? 0 : rc;
}

int viofs_virtio_halt(struct viofs_virtio *d, int timeout_ms, bool function_reset,
		      struct viofs_err *err)
{
	int rc = 0;

	if (!d->halted)
		rc = viofs_virtio_reset(d, timeout_ms, err);
	if (rc && !cut_off(d, function_reset))
		rc = 0;
	d->halted = !rc;
	return rc;
}

/* Status bits only ever add up until the next reset (virtio 1.3 2.1.1). */
static void status_add(struct viofs_virtio *d, uint8_t bits)
{
	d->ops->status_set(d, (uint8_t)(d->ops->status_get(d) | bits));
}

static int accept_features(struct viofs_virtio *d, uint64_t wanted, struct viofs_err *err)
{
	uint64_t accepted;
	const char *fault;
	uint8_t status;

	d->offered = d->ops->features_get(d);
	/* A device that is gone reads as all ones, as if it offered everything: check the status
	 * first. */
	fault = viofs_virtio_is_lost(d);
	if (fault)
		return viofs_err_set(err, -EPROTO, "The device %s while features are negotiated.",
				     fault);
	if (!(d->offered & VIOFS_VIRTIO_F_VERSION_1))
		return viofs_err_set(
			err, -ENOTSUP,
			"The device does not offer VIRTIO_F_VERSION_1 (features 0x%llx): "
			"legacy devices are not supported.",
			(unsigned long long)d->offered);

	accepted = d->offered & (wanted | VIOFS_VIRTIO_F_VERSION_1 |
				 VIOFS_VIRTIO_F_ACCESS_PLATFORM | VIOFS_VIRTIO_F_ORDER_PLATFORM);
	d->ops->features_set(d, accepted);
	status_add(d, VIOFS_VIRTIO_FEATURES_OK);

	status = d->ops->status_get(d);
	fault = status_fault(d, status);
	if (fault)
		return viofs_err_set(err, -EPROTO, "The device %s after it was told the features.",
				     fault);
	if (!(status & VIOFS_VIRTIO_FEATURES_OK))
		return viofs_err_set(err, -EPROTO,
				     "The device offers features 0x%llx and refuses 0x%llx of them "
				     "(FEATURES_OK did not stick).",
				     (unsigned long long)d->offered, (unsigned long long)accepted);
	d->negotiated = accepted;
	return 0;
}

int viofs_virtio_negotiate(struct viofs_virtio *d, uint64_t wanted, struct viofs_err *err)
{
	int rc;

	status_add(d, VIOFS_VIRTIO_ACKNOWLEDGE);
	status_add(d, VIOFS_VIRTIO_DRIVER);
	rc = accept_features(d, wanted, err);
	if (rc)
		status_add(d, VIOFS_VIRTIO_FAILED);
	return rc;
}

int viofs_virtio_driver_ok(struct viofs_virtio *d, struct viofs_err *err)
{
	const char *fault;
	uint8_t status;
	int rc = d->ops->dma_set ? d->ops->dma_set(d, true) : 0;

	if (rc)
		return viofs_err_set(err, rc,
				     "The device can't be allowed to reach memory (bus mastering): "
				     "%s.",
				     strerror(-rc));
	d->halted = false;
	status_add(d, VIOFS_VIRTIO_DRIVER_OK);
	status = d->ops->status_get(d);
	fault = status_fault(d, status);
	if (fault)
		return viofs_err_set(err, -EPROTO, "The device %s when it is started.", fault);
	if (!(status & VIOFS_VIRTIO_DRIVER_OK))
		return viofs_err_set(err, -EPROTO,
				     "The device did not start (status 0x%02x after DRIVER_OK).",
				     status);
	return 0;
}
