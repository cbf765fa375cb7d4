/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtio-fs device of this process's own, and memory that it may touch. */
#ifndef VIOFS_FSDEV_H
#define VIOFS_FSDEV_H

#include <viofs/error.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** struct viofs_dev - an opened device; opaque */
struct viofs_dev;

/** enum viofs_dev_flag - for viofs_dev_options.flags */
enum viofs_dev_flag {
	/**
	 * A PCI device with another driver (the kernel's virtiofs, say) is bound to vfio-pci, with
	 * modprobe(8) where that is missing, and given back by viofs_dev_close(). Without the flag
	 * such a device is refused: `viofsctl bind` does it by hand.
	 */
	VIOFS_DEV_BIND = 1 << 0,
	/** No hugepages for DMA memory. */
	VIOFS_DEV_SMALL_PAGES = 1 << 1,
	/** VFIO's noiommu mode will do: the device can then read and write all memory of the
	   machine. */
	VIOFS_DEV_UNSAFE_NOIOMMU = 1 << 2
};

/**
 * struct viofs_dev_options - how to open a device
 * Fill it in with viofs_dev_options_init(), then change what is to differ. 0 means the default.
 */
struct viofs_dev_options {
	size_t size;     /* of this struct, for programs that are older or newer than the library */
	uint32_t flags;  /* of enum viofs_dev_flag */
	uint32_t queues; /* vhost-user only: request queues; 0 = as many as the back end says */
	uint32_t depth;  /* requests in flight on each virtqueue, 8..1024; 128 */
	uint32_t max_data;   /* bytes of data in one request, a page..16 MiB; 1 MiB */
	size_t dma_size;     /* bytes for viofs_dma_alloc(), sessions' buffers included; 32 MiB */
	uint32_t timeout_ms; /* a request without an answer for so long fails the device, which is
			      * seen while somebody polls, waits, or sleeps on a descriptor that
			      * he armed; locks (SETLKW) don't count; 0 = never */
	uint32_t spin_us;    /* viofs_queue_wait() polls so long before it sleeps; 50; UINT32_MAX =
				always */
	uint32_t
		wait_ms; /* for another process that has the device and is ending; 0 = not at all */
};

/**
 * viofs_dev_options_init() - the defaults of a device
 * @size: sizeof(*options). A library with a longer struct leaves alone what the program has no room
 * for; one with a shorter struct makes the rest zero, which means the default, and refuses to open
 * a device with anything else there.
 */
void viofs_dev_options_init(struct viofs_dev_options *options, size_t size);

/**
 * viofs_dev_open() - take a device: bind or connect, reset, negotiate, map memory, start its queues
 * @source: a PCI address (0000:00:04.0), a tag, tag:NAME, or vhost-user:PATH of a back end's
 * socket.
 * @options: NULL = the defaults.
 * The device is this process's alone until viofs_dev_close(). No FUSE request is sent: FUSE_INIT is
 * due first, which viofs_session_open() does.
 *
 * Context: any thread. Not after fork(2) in the child.
 * Return: 0 and *@out; -ENODEV, -ENOENT: no such device; -EBUSY: somebody has it, or another driver
 * has it and VIOFS_DEV_BIND isn't set; -EMFILE: several devices have the tag; -ENOTTY: no virtio-fs
 * device; -EPERM, -EACCES: rights are missing; -ENOMEM: memory, or the memlock limit; -EPROTO,
 * -ETIMEDOUT, -ENOTSUP, -ECONNREFUSED, -ECONNRESET: the device or back end; -EINVAL: @source or
 * @options make no sense. @err says what to do. On failure everything is as it was.
 */
int viofs_dev_open(const char *source, const struct viofs_dev_options *options,
		   struct viofs_dev **out, struct viofs_err *err);

/**
 * viofs_dev_close() - reset the device and give it back to the driver that it had
 * @dev: NULL is fine. Sessions and queues of it are to be closed before; memory from
 * viofs_dma_alloc() is gone afterwards. Context: one thread, with no other call under way. Waits
 * for seconds at most. Return: 0; -errno where the device couldn't be given back, with @err;
 * -ENODEV in a child of fork(2), where the child's copies of descriptors are closed, and its memory
 * is freed.
 */
int viofs_dev_close(struct viofs_dev *dev, struct viofs_err *err);

/** struct viofs_dev_info - what a device is like */
struct viofs_dev_info {
	size_t size;           /* of this struct: set by the caller */
	const char *transport; /* "pci" or "vhost-user" */
	const char *id;        /* PCI address, or the socket's path */
	const char *tag;
	uint64_t offered;                /* virtio feature bits of the device */
	uint64_t negotiated;             /* those in use */
	uint32_t request_queues;         /* in use */
	uint32_t request_queues_offered; /* as the device's configuration says */
	uint32_t queue_size;             /* entries of the first request queue */
	uint32_t depth;                  /* requests in flight on each */
	uint32_t max_data;               /* bytes of data in one request that the memory allows */
	uint32_t page_size;              /* of DMA memory, bytes */
	uint32_t interrupts;             /* vectors in use, 0 = none: waiting is polling */
	size_t dma_size, dma_free;       /* of viofs_dma_alloc(), bytes */
};

/**
 * viofs_dev_info_get() - look at a device; strings live as long as it
 * @info: its size must be set.
 * Context: any thread. Return: 0; -EINVAL: the size is not set.
 */
int viofs_dev_info_get(struct viofs_dev *dev, struct viofs_dev_info *info);

/**
 * viofs_dev_failed() - has the device gone, or broken the rules?
 * Once it has, it is reset, what is in flight ends with -EIO, and everything else fails with
 * -ENODEV until viofs_dev_close(). It is waited for no longer than 100 ms: a back end behind a
 * socket that hangs may write to DMA memory of its requests until viofs_dev_close(). Context: any
 * thread; no system call. Return: NULL, or why, as in "the device ...".
 */
const char *viofs_dev_failed(struct viofs_dev *dev);

/**
 * viofs_dev_abort() - give the device up
 * It fails as if it had broken the rules: calls that wait, of all threads, end with an error.
 * viofs_dev_close() is still due. Context: any thread, no signal handler.
 */
void viofs_dev_abort(struct viofs_dev *dev);

/** struct viofs_dev_stats - counters since the device was opened */
struct viofs_dev_stats {
	size_t size;       /* of this struct: set by the caller */
	uint64_t requests; /* sent */
	uint64_t replies;  /* completions taken */
	uint64_t kicks;    /* notifications of the device: a system call with vhost-user */
	uint64_t faults;   /* replies that were refused */
	uint64_t sleeps;   /* of viofs_queue_wait() */
};

/**
 * viofs_dev_stats_get() - look at counters
 * Context: any thread; exact when nobody else is at it. Return: 0; -EINVAL: the size is not set.
 */
int viofs_dev_stats_get(struct viofs_dev *dev, struct viofs_dev_stats *stats);

/**
 * viofs_dma_alloc() - take memory that the device can read and write
 * @size: bytes; at least a page is taken. The memory begins on a page, and is zero when it comes
 * the first time. It is the caller's until viofs_dma_free() or viofs_dev_close(). Context: any
 * thread; takes a lock. Return: the memory, or NULL: none of that size is left.
 */
void *viofs_dma_alloc(struct viofs_dev *dev, size_t size);

/**
 * viofs_dma_free() - give memory of viofs_dma_alloc() back; NULL is fine
 * No request that uses it may be in flight. Context: any thread.
 */
void viofs_dma_free(struct viofs_dev *dev, void *memory);

/**
 * viofs_dma_register() - let the device reach memory of the caller's
 * @memory, @size: multiples of the system's page size.
 * @fd, @offset: of the file (memfd, hugetlbfs, shm) that is mapped there, shared, which a
 * vhost-user back end has to map too; with PCI devices they are not looked at, and any memory will
 * do: it is pinned. Memory must stay mapped until viofs_dma_unregister() or viofs_dev_close();
 * there are 64 regions at most.
 *
 * Context: any thread; not while others submit requests.
 * Return: 0; -EINVAL: not whole pages, or overlaps; -ENOSPC: too many regions; -ENOTSUP: this
 * transport or back end can't (a vhost-user back end without
 * VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS; a PCI device that takes physical addresses, whose
 * memory must be viofs_dma_alloc()'s); others, in @err.
 */
int viofs_dma_register(struct viofs_dev *dev, void *memory, size_t size, int fd, uint64_t offset,
		       struct viofs_err *err);

/**
 * viofs_dma_unregister() - take memory of viofs_dma_register() away from the device
 * @memory: as it was registered. No request that uses it may be in flight.
 *
 * Context: any thread; not while others submit requests.
 * Return: 0; -ENOENT: not registered; -EBUSY: the device has failed and can't be stopped, so the
 * memory stays its own until viofs_dev_close(); others, in @err. But for 0 and -ENOENT the device
 * has it still.
 */
int viofs_dma_unregister(struct viofs_dev *dev, void *memory, struct viofs_err *err);

#ifdef __cplusplus
}
#endif

#endif
