/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be done with a VFIO device descriptor, whichever back end opened it. Private to
 * src/vfio.
 */
#ifndef VIOFS_VFIO_DEVICE_FD_H
#define VIOFS_VFIO_DEVICE_FD_H

#include "base/util.h"
#include "vfio/bars.h"
#include "vfio/irqs.h"
#include "vfio/vfio.h"

/** struct viofs_vfio_alerts - alerts from the kernel about the function; see alerts.c */
struct viofs_vfio_alerts {
	int error_fd, request_fd; /* eventfds, -1 = none */
	const char *lost;         /* what was said, NULL = nothing yet */
};

/** struct viofs_vfio_device - the back ends' own struct */
struct viofs_vfio_device {
	struct viofs_vfio vfio; /* first: the ops get a pointer to it */
	int iommu;              /* what maps memory: the container, or /dev/iommu; -1 = none */
	int group;              /* -1 = none */
	uint32_t ioas;          /* address space in /dev/iommu */
	int fd;                 /* the device, -1 = none */
	int pin;                /* what keeps memory in its place (pin.h), -1 = nothing */
	bool can_reset;
	bool msix_on;
	struct viofs_vfio_alerts alerts;
	uint64_t config_region; /* where configuration space begins in the descriptor */
	uint64_t config_size;   /* bytes */
	struct viofs_vfio_bar bars[VIOFS_VFIO_BARS];
};

/** viofs_vfio_device_of() - the back end's struct of what the ops are given. */
static inline struct viofs_vfio_device *viofs_vfio_device_of(struct viofs_vfio *v)
{
	return VIOFS_CONTAINER_OF(v, struct viofs_vfio_device, vfio);
}

/** viofs_vfio_device_of_mapper() - the same for the mapper's ops. */
static inline struct viofs_vfio_device *viofs_vfio_device_of_mapper(struct viofs_mapper *m)
{
	return VIOFS_CONTAINER_OF(m, struct viofs_vfio_device, vfio.mapper);
}

/** viofs_vfio_device_new() - with nothing open yet. Return: for viofs_vfio_device_close(); NULL: no
 * memory. */
struct viofs_vfio_device *viofs_vfio_device_new(const struct viofs_pci_function *f,
						const struct viofs_vfio_ops *ops,
						const struct viofs_mapper_ops *mapper,
						struct viofs_err *err);

/**
 * viofs_vfio_device_start() - look at @d->fd, map the BARs, enable memory; no bus mastering yet
 * Return: 0, or -errno; what was done is undone by viofs_vfio_device_fini().
 */
int viofs_vfio_device_start(struct viofs_vfio_device *d, struct viofs_err *err);

/** viofs_vfio_device_fini() - interrupts off, mappings gone, all descriptors closed. */
void viofs_vfio_device_fini(struct viofs_vfio_device *d);

/* Ops for which the descriptor is enough. */
void viofs_vfio_device_close(struct viofs_vfio *v);
void viofs_vfio_device_close_copy(struct viofs_vfio *v);
void viofs_vfio_device_drop_dma(struct viofs_vfio *v);
int viofs_vfio_device_reset(struct viofs_vfio *v);

#endif
