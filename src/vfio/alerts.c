/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Alerts from the kernel: a function has failed, or is wanted back. */
/*
 * VFIO signals an eventfd for each of two things (Documentation/driver-api/vfio.rst,
 * drivers/vfio/pci/vfio_pci_core.c):
 *
 *   error    an uncorrectable PCIe error; functions that are no PCIe functions have none
 *   request  somebody unbinds or unplugs the function, and waits until every descriptor of it, and
 *            every mapping, is closed; signalled again every 10 s until then
 *
 * The eventfds are read by whoever asks first, so this is for one process: the one that drives the
 * function. Where an eventfd can't be had, the function is used without that alert.
 */
#include "vfio/alerts.h"

#include <linux/vfio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char text_error[] = "has reported an uncorrectable PCI error";
static const char text_request[] = "is being unplugged, or unbound: the kernel wants it back";

/* Return: an eventfd that @index signals, in the epoll of @d; or -1. */
static int listen_to(const struct viofs_vfio_device *d, unsigned int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	struct epoll_event e = { .events = EPOLLIN };
	int fd;

	if (ioctl(d->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0 || !info.count ||
	    !(info.flags & VFIO_IRQ_INFO_EVENTFD))
		return -1;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -1;
	if (epoll_ctl(d->vfio.event_fd, EPOLL_CTL_ADD, fd, &e) == 0 &&
	    viofs_vfio_device_irqs_set(d, index, &fd, 1) == 0)
		return fd;
	close(fd);
	return -1;
}

void viofs_vfio_alerts_open(struct viofs_vfio_device *d)
{
	d->vfio.event_fd = epoll_create1(EPOLL_CLOEXEC);
	if (d->vfio.event_fd < 0)
		return;
	d->alerts.error_fd = listen_to(d, VFIO_PCI_ERR_IRQ_INDEX);
	d->alerts.request_fd = listen_to(d, VFIO_PCI_REQ_IRQ_INDEX);
}

void viofs_vfio_alerts_close(struct viofs_vfio_device *d)
{
	int *fds[] = { &d->alerts.error_fd, &d->alerts.request_fd, &d->vfio.event_fd };

	for (unsigned int i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static bool was_signalled(int fd)
{
	uint64_t count;

	return fd >= 0 && read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

const char *viofs_vfio_alerts_lost(struct viofs_vfio *v)
{
	struct viofs_vfio_alerts *a = &viofs_vfio_device_of(v)->alerts;

	if (a->lost)
		return a->lost;
	if (was_signalled(a->request_fd))
		a->lost = text_request;
	else if (was_signalled(a->error_fd))
		a->lost = text_error;
	return a->lost;
}
