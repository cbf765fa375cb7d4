/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's own random number device, driven through VFIO by our transport, rings and arena: a device
 * that obeys the IOMMU, and whose side of the rings nobody of this project wrote. rng_dma ADDRESS
 * [packed] Requests of all shapes; then two that the IOMMU has to stop, and nothing of our memory
 * may change.
 */
#include "base/util.h"
#include "dma/arena.h"
#include "dma/physical.h"
#include "virtio/ring.h"
#include "vfio/pci_transport.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ROUNDS 2000U
#define BYTES 8192U
#define PIECES 5U
#define WAIT_MS 10000
#define STRAY_MS 1000
/* Inside the IOMMU's ranges, and nothing of the arena's. */
#define STRAY_IOVA (64ULL << 30)
#define CANARY 0x5a

static struct {
	struct viofs_vfio *vfio;
	struct viofs_virtio *virtio;
	struct viofs_arena *arena;
	struct viofs_ring ring;
	struct viofs_ring_desc *table; /* an indirect one */
	uint8_t *out, *readable;       /* the device may write, may only read */
	int eventfd, vectors;
	unsigned int interrupts, kicks;
} t;

static void fail(const char *what, const struct viofs_err *err)
{
	fprintf(stderr, "rng_dma: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
	exit(1);
}

static void check(bool good, const char *what)
{
	if (!good)
		fail(what, NULL);
}

static uint64_t iova_of(const void *p, size_t len)
{
	size_t run;
	uint64_t iova = viofs_arena_iova(t.arena, p, len, &run);

	check(run == len, "not contiguous for the device, with addresses of our choice");
	return iova;
}

static void open_device(const char *address, bool packed)
{
	struct viofs_err err = { .text = "" };
	struct viofs_pci_function f;
	struct viofs_pci_address a;

	check(!viofs_pci_address_parse(address, &a), "ADDRESS is no PCI address");
	if (viofs_pci_function_read(&a, &f, &err) || viofs_vfio_open(&f, false, &t.vfio, &err) ||
	    viofs_virtio_pci_open(t.vfio, &t.virtio, &err) ||
	    viofs_virtio_reset(t.virtio, 1000, &err) ||
	    viofs_virtio_negotiate(t.virtio,
				   VIOFS_VIRTIO_F_EVENT_IDX | VIOFS_VIRTIO_F_INDIRECT_DESC |
					   VIOFS_VIRTIO_F_RING_PACKED,
				   &err))
		fail(address, &err);
	check(t.virtio->negotiated & VIOFS_VIRTIO_F_ACCESS_PLATFORM, "no ACCESS_PLATFORM");
	check(t.virtio->negotiated & VIOFS_VIRTIO_F_INDIRECT_DESC, "no INDIRECT_DESC");
	check(!!(t.virtio->negotiated & VIOFS_VIRTIO_F_RING_PACKED) == packed, "packed rings");
}

static void start(void)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = {
		[VIOFS_ARENA_PRIVATE] = 65536,
		[VIOFS_ARENA_DEVICE_READ] = 65536,
		[VIOFS_ARENA_DEVICE_WRITE] = 65536,
		[VIOFS_ARENA_DEVICE_RING] = 65536,
	};
	uint16_t size = (uint16_t)t.virtio->ops->queue_max(t.virtio, 0);
	unsigned int flags =
		(t.virtio->negotiated & VIOFS_VIRTIO_F_RING_PACKED ? VIOFS_RING_PACKED : 0) |
		(t.virtio->negotiated & VIOFS_VIRTIO_F_EVENT_IDX ? VIOFS_RING_EVENT_IDX : 0);
	struct viofs_ring_layout l = viofs_ring_layout(size, flags);
	struct viofs_virtio_queue_address a = { .size = size };
	struct viofs_err err = { .text = "" };
	void *desc, *driver, *device, *shadow;

	/* 4 KiB pages: any translation that is missing is met. */
	if (viofs_arena_new(sizes, false, &t.arena, &err) ||
	    viofs_arena_map(t.arena, &t.vfio->mapper, VIOFS_ADDRESS_TRANSLATED, &err))
		fail("memory", &err);
	desc = viofs_arena_alloc(t.arena,
				 l.desc_written ? VIOFS_ARENA_DEVICE_RING : VIOFS_ARENA_DEVICE_READ,
				 l.desc, 4096);
	driver = viofs_arena_alloc(t.arena, VIOFS_ARENA_DEVICE_READ, l.driver, 64);
	device = viofs_arena_alloc(t.arena, VIOFS_ARENA_DEVICE_WRITE, l.device, 64);
	shadow = viofs_arena_alloc(t.arena, VIOFS_ARENA_PRIVATE, viofs_ring_shadow_bytes(size), 64);
	t.table =
		viofs_arena_alloc(t.arena, VIOFS_ARENA_DEVICE_READ, PIECES * sizeof(*t.table), 64);
	t.out = viofs_arena_alloc(t.arena, VIOFS_ARENA_DEVICE_WRITE, BYTES, 4096);
	t.readable = viofs_arena_alloc(t.arena, VIOFS_ARENA_DEVICE_READ, 4096, 4096);
	viofs_ring_init(&t.ring, size, flags, desc, driver, device, shadow);
	a.desc = iova_of(desc, l.desc);
	a.driver = iova_of(driver, l.driver);
	a.device = iova_of(device, l.device);
	t.eventfd = eventfd(0, EFD_CLOEXEC);
	t.vectors = t.virtio->ops->interrupts_set(t.virtio, &t.eventfd, 1, &err);
	if (t.vectors < 1 || t.virtio->ops->queue_enable(t.virtio, 0, &a, &err) ||
	    viofs_virtio_driver_ok(t.virtio, &err))
		fail("start", &err);
}

/* Send @chain. Return: bytes that the device says it wrote; -1: it didn't answer within @ms. */
static int64_t send(const struct viofs_ring_chain *chain, int ms)
{
	struct pollfd p = { .fd = t.eventfd, .events = POLLIN };
	uint32_t token = 0, len = 0;
	uint64_t times;
	int rc;

	check(!viofs_ring_add(&t.ring, chain), "no room in an empty ring");
	if (viofs_ring_should_kick(&t.ring)) {
		t.kicks++;
		t.virtio->ops->notify(t.virtio, 0);
	}
	while (!(rc = viofs_ring_get(&t.ring, &token, &len))) {
		if (viofs_ring_arm(&t.ring))
			continue;
		if (poll(&p, 1, ms) != 1)
			return -1;
		t.interrupts++;
		check(read(t.eventfd, &times, sizeof(times)) == sizeof(times), "eventfd");
	}
	check(rc == 1, viofs_ring_broken(&t.ring) ? viofs_ring_broken(&t.ring) : "ring");
	check(token == chain->token, "another token came back");
	return len;
}

/* All shapes: 1 to 5 pieces of odd sizes, direct and indirect. */
static void round_of(unsigned int i)
{
	struct viofs_ring_piece pieces[PIECES];
	struct viofs_ring_chain chain = { .pieces = pieces,
					  .writable = (uint16_t)(1 + i % PIECES),
					  .indirect = i % 3 ? t.table : NULL,
					  .indirect_iova = iova_of(t.table, sizeof(*t.table)),
					  .token = i };
	unsigned int at = i % 7, same = 0;
	uint32_t all = 0;
	int64_t got;

	memset(t.out, CANARY, BYTES);
	for (unsigned int n = 0; n < chain.writable; n++) {
		pieces[n].len = 1 + (i * 37 + n * 101) % 1500;
		pieces[n].iova = iova_of(t.out + at + all, pieces[n].len);
		all += pieces[n].len;
	}
	got = send(&chain, WAIT_MS);
	check(got > 0 && got <= all, "no answer, or an empty one");
	for (unsigned int n = 0; n < BYTES; n++) {
		bool ours = n < at || n >= at + got;

		check(!ours || t.out[n] == CANARY, "a byte beyond what was written has changed");
		same += !ours && t.out[n] == CANARY;
	}
	/* One byte in 256 is as it was. */
	check(same <= 2 + got / 32, "what is said to be written is not random");
}

/* To where the device may not write. It may say what it likes: nothing has changed. */
static void stray(uint64_t iova, const char *what)
{
	struct viofs_ring_piece piece = { iova, 64 };
	struct viofs_ring_chain chain = { .pieces = &piece, .writable = 1 };
	const char *lost;
	int64_t got;

	memset(t.readable, CANARY, 4096);
	memset(t.out, CANARY, BYTES);
	got = send(&chain, STRAY_MS);
	usleep(100000);
	for (unsigned int i = 0; i < 4096; i++)
		check(t.readable[i] == CANARY, "memory that the device may only read has changed");
	for (unsigned int i = 0; i < BYTES; i++)
		check(t.out[i] == CANARY, "memory that was not meant has changed");
	lost = viofs_virtio_is_lost(t.virtio);
	printf("stray write to %s: stopped, the device %s\n", what,
	       lost      ? lost
	       : got < 0 ? "did not answer"
			 : "took no notice");
}

int main(int argc, char **argv)
{
	bool packed = argc > 2 && !strcmp(argv[2], "packed");
	uint64_t physical = 0;

	if (argc < 2 || argc > 3 || (argc == 3 && !packed))
		fail("usage: rng_dma ADDRESS [packed]", NULL);
	open_device(argv[1], packed);
	start();
	check(!viofs_physical_read(t.out, 1, &physical), "pagemap");
	check(iova_of(t.out, 1) != physical, "the addresses are physical ones");
	for (unsigned int i = 0; i < ROUNDS; i++)
		round_of(i);
	printf("%s ring of %u: %u requests, %u kicks, %u interrupts\n", packed ? "packed" : "split",
	       t.ring.size, ROUNDS, t.kicks, t.interrupts);
	stray(iova_of(t.readable, 64), "memory mapped for reading");
	if (!viofs_virtio_is_lost(t.virtio))
		stray(STRAY_IOVA, "an address that is not mapped");
	viofs_virtio_close(t.virtio);
	viofs_arena_detach(t.arena);
	viofs_arena_free(t.arena);
	close(t.eventfd);
	return 0;
}
