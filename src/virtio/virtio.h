/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtio device, whatever the transport: status, features, configuration, queues, notifications.
 */
#ifndef VIOFS_VIRTIO_VIRTIO_H
#define VIOFS_VIRTIO_VIRTIO_H

#include "base/err.h"
#include "dma/mapper.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Device status (virtio 1.3 2.1). */
#define VIOFS_VIRTIO_ACKNOWLEDGE 1U
#define VIOFS_VIRTIO_DRIVER 2U
#define VIOFS_VIRTIO_DRIVER_OK 4U
#define VIOFS_VIRTIO_FEATURES_OK 8U
#define VIOFS_VIRTIO_NEEDS_RESET 64U
#define VIOFS_VIRTIO_FAILED 128U

/* Feature bits that we use (virtio 1.3 6), as masks. */
#define VIOFS_VIRTIO_F_INDIRECT_DESC (1ULL << 28)
#define VIOFS_VIRTIO_F_EVENT_IDX (1ULL << 29)
#define VIOFS_VIRTIO_F_VERSION_1 (1ULL << 32)
#define VIOFS_VIRTIO_F_ACCESS_PLATFORM (1ULL << 33)
#define VIOFS_VIRTIO_F_RING_PACKED (1ULL << 34)
#define VIOFS_VIRTIO_F_IN_ORDER (1ULL << 35)
#define VIOFS_VIRTIO_F_ORDER_PLATFORM (1ULL << 36)

struct viofs_virtio;

/** struct viofs_virtio_queue_address - a virtqueue as the device sees it (virtio 1.3 4.1.4.3) */
struct viofs_virtio_queue_address {
	uint16_t size; /* entries, at most what queue_max() said */
	uint64_t desc;
	uint64_t driver; /* split: avail ring; packed: driver event suppression */
	uint64_t device; /* split: used ring; packed: device event suppression */
};

/** struct viofs_virtio_description - how a device is reached, for those who show it */
struct viofs_virtio_description {
	const char *vfio;        /* VFIO's way to it: "cdev", "group", ...; NULL: without VFIO */
	const char *passed_over; /* better ways, and why they were not taken; NULL: none */
	const char *dma;         /* what an address means to the device */
	unsigned int vectors;    /* interrupts that it can have, 0: nothing is known */
};

/** struct viofs_virtio_shm - shared memory of the device (virtio 1.3 2.10) */
struct viofs_virtio_shm {
	unsigned int bar; /* PCI: the BAR that it lies in */
	uint64_t offset, length;
};

/** struct viofs_virtio_ops - a transport: virtio-pci over VFIO, or vhost-user */
struct viofs_virtio_ops {
	const char *name; /* "pci", "vhost-user" */
	/**
	 * halt the device, then close everything that leads to it; @d is freed. The device's
	 * mappings are taken back, unless they are its own (by_file). Return: as
	 * viofs_virtio_halt()
	 */
	int (*close)(struct viofs_virtio *d);
	/** closes this process's copies of what another process has too: the device is not touched,
	 * but as long as a copy is left the kernel can't have it back; @d is freed */
	void (*close_copy)(struct viofs_virtio *d);
	/** closes this process's copies of what only mapping memory needs; nothing is mapped or
	 * unmapped after it */
	void (*drop_dma)(struct viofs_virtio *d);
	void (*describe)(const struct viofs_virtio *d, struct viofs_virtio_description *out);
	/** region @id; left out, or -ENOENT: there is none; -EPROTO: it lies where nothing is */
	int (*shm_region)(struct viofs_virtio *d, uint8_t id, struct viofs_virtio_shm *out);
	/**
	 * let the device reach memory, or not; at first it may not. Left out: the transport can't
	 * tell it
	 */
	int (*dma_set)(struct viofs_virtio *d, bool on);
	/** reset the device without its help; left out, or -errno: there is no way */
	int (*function_reset)(struct viofs_virtio *d);
	/** from now on no wait for the device takes longer than @timeout_ms; left out: nothing is
	 * asked that needs an answer */
	void (*patience_set)(struct viofs_virtio *d, int timeout_ms);
	/** NULL, or why the device is gone for good; may be left out: the status tells */
	const char *(*is_lost)(struct viofs_virtio *d);
	/** is it gone, but might come back? Left out: never */
	bool (*is_away)(struct viofs_virtio *d);
	uint8_t (*status_get)(struct viofs_virtio *d);
	void (*status_set)(struct viofs_virtio *d, uint8_t status);
	uint64_t (*features_get)(struct viofs_virtio *d);
	void (*features_set)(struct viofs_virtio *d, uint64_t features);
	/** device-specific configuration under one generation (virtio 1.3 2.5.1); -ETIMEDOUT: it
	 * never settles (100 tries); -ERANGE: beyond what the device has */
	int (*config_read)(struct viofs_virtio *d, unsigned int off, void *buf, unsigned int len);
	/** number of queues the device has, 0..65535 */
	unsigned int (*queue_count)(struct viofs_virtio *d);
	/** the most entries of queue @q, 0 = no such queue; unchecked value of the device */
	unsigned int (*queue_max)(struct viofs_virtio *d, unsigned int q);
	/** addresses and size set, read back, enabled */
	int (*queue_enable)(struct viofs_virtio *d, unsigned int q,
			    const struct viofs_virtio_queue_address *a, struct viofs_err *err);
	/**
	 * @eventfds[i] is signalled by queue i. With fewer vectors than queues the rest share the
	 * last vector, which signals the eventfd of the first of them. Return: vectors in use (>=
	 * 1); 0: the device refuses all, so the caller must poll; -errno.
	 */
	int (*interrupts_set)(struct viofs_virtio *d, const int *eventfds, unsigned int count,
			      struct viofs_err *err);
	/** the eventfd by which queue @q is notified, which the device has too; left out: there are
	 * none */
	int (*kick_fd)(struct viofs_virtio *d, unsigned int q);
	/** available buffer notification (virtio 1.3 2.9) */
	void (*notify)(struct viofs_virtio *d, unsigned int q);
};

/**
 * struct viofs_virtio_return_ops - a device that may go away and come back
 * One process looks after it. Its children learn the state by is_lost() and is_away().
 */
struct viofs_virtio_return_ops {
	/** this process looks after it. Return: a descriptor, readable when look() may have news */
	int (*own)(struct viofs_virtio *d);
	/** NULL, or why it is gone; *@closed: nobody is there, but somebody may come */
	const char *(*look)(struct viofs_virtio *d, bool *closed);
	/** it is away until resume() */
	void (*leave)(struct viofs_virtio *d);
	/**
	 * after look() with *@closed: go on with what is there now. Features, memory, what was in
	 * flight, and the rings are what they were; both sides of each are notified.
	 * @end_ns: monotonic time to give up at. @signal: adds one to an eventfd that the other
	 * side shares, and may have made blocking. Return: 0; -EAGAIN: nobody is there yet;
	 * -ENOTSUP, -EPROTO: what is there can't go on with the session, @err says why
	 */
	int (*resume)(struct viofs_virtio *d, int64_t end_ns, void (*signal)(int eventfd),
		      struct viofs_err *err);
	/** give it up for good; @why says the reason */
	void (*lose)(struct viofs_virtio *d, const char *why);
	/** the descriptor of the connection, another one each time that the device is back; or -1
	 */
	int (*connection)(const struct viofs_virtio *d);
};

/** struct viofs_virtio - embedded at the start of a transport's struct */
struct viofs_virtio {
	const struct viofs_virtio_ops *ops;
	const struct viofs_virtio_return_ops *returns; /* NULL: what is gone stays away */
	struct viofs_mapper *mapper;                   /* gives the device memory */
	uint64_t offered;                              /* features of the device */
	uint64_t negotiated;                           /* after viofs_virtio_negotiate() */
	/*
	 * notify() calls this instead of writing to kick_fd(), since a device could make that write
	 * wait. NULL: it writes.
	 */
	void (*bell)(void *arg, unsigned int q);
	void *bell_arg;
	int event_fd; /* readable when viofs_virtio_is_lost() may have changed, -1 = none */
	bool halted;  /* by viofs_virtio_halt() */
};

/** viofs_virtio_close() - halt, close and free; NULL is fine. Return: as viofs_virtio_halt(). */
int viofs_virtio_close(struct viofs_virtio *d);

/**
 * viofs_virtio_reset() - status 0, and wait until it reads 0 (virtio 1.3 2.4)
 * Return: 0; -ETIMEDOUT after @timeout_ms; -ENODEV: reads 0xff, the device is gone.
 */
int viofs_virtio_reset(struct viofs_virtio *d, int timeout_ms, struct viofs_err *err);

/**
 * viofs_virtio_halt() - the end: from here on the device touches no memory
 * Status 0; where that isn't finished in @timeout_ms, a function reset; where there is none, or it
 * doesn't help, no more bus mastering. What has only been halted is not to be started again.
 * @function_reset: allowed; it may take a minute, and takes ioctl(2).
 * Return: 0; -errno, as viofs_virtio_reset(): it may still write, until VFIO is closed. A back end
 * behind a socket has mapped the memory itself, and may whatever is returned.
 */
int viofs_virtio_halt(struct viofs_virtio *d, int timeout_ms, bool function_reset,
		      struct viofs_err *err);

/**
 * viofs_virtio_negotiate() - ACKNOWLEDGE, DRIVER, features, FEATURES_OK (virtio 1.3 3.1.1)
 * @wanted: features to accept where offered; VERSION_1 is required; ACCESS_PLATFORM and
 * ORDER_PLATFORM are taken whenever they are offered.
 * Return: 0 and d->negotiated set; -ENOTSUP: no VERSION_1; -EPROTO: FEATURES_OK refused. On failure
 * FAILED is set.
 */
int viofs_virtio_negotiate(struct viofs_virtio *d, uint64_t wanted, struct viofs_err *err);

/** viofs_virtio_driver_ok() - the device may start. Return: 0; -EPROTO: NEEDS_RESET or gone. */
int viofs_virtio_driver_ok(struct viofs_virtio *d, struct viofs_err *err);

/**
 * viofs_virtio_is_lost() - has the device gone or broken?
 * Return: NULL, or why: "is gone (status 0xff)", "needs a reset", "has closed its socket".
 */
const char *viofs_virtio_is_lost(struct viofs_virtio *d);

/** viofs_virtio_is_away() - nobody is there to answer now, but viofs_virtio_is_lost() is NULL. */
bool viofs_virtio_is_away(struct viofs_virtio *d);

/** viofs_virtio_feature_name() - name of bit @bit as the standard writes it, or NULL. */
const char *viofs_virtio_feature_name(unsigned int bit);

#endif
