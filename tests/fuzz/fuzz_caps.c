/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The capability walk, over any configuration space. Input: the byte that can't be read, 256 bytes.
 */
#include "fuzz.h"

#include "base/util.h"
#include "pci/caps.h"

#include <errno.h>

static struct {
	uint8_t bytes[256];
	unsigned int reads, fail_at; /* 0: every read works */
} space;

static int space_read(void *context, unsigned int off, void *buf, unsigned int len)
{
	space.reads++;
	fuzz_check(viofs_range_ok(off, len, sizeof(space.bytes)));
	if (space.fail_at && off <= space.fail_at && space.fail_at < off + len)
		return -ENXIO;
	memcpy(buf, space.bytes + off, len);
	return 0;
}

static void check_cap(const struct viofs_pci_cap *c)
{
	if (!c->present)
		return;
	fuzz_check(c->bar < 6 && c->position >= 64);
	fuzz_check((uint64_t)c->offset + c->length <= UINT32_MAX && c->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct viofs_pci_config config = { .read = space_read };
	struct fuzz_input in = { data, size };
	struct viofs_pci_caps caps;
	struct viofs_err err = { .text = "" };
	int rc;

	space.reads = 0;
	space.fail_at = fuzz_u8(&in);
	fuzz_take(&in, space.bytes, sizeof(space.bytes));
	rc = viofs_pci_caps_walk(&config, &caps, &err);
	/* At most three reads an entry and a few before. */
	fuzz_check(space.reads <= 3 * 48 + 4);
	if (rc) {
		fuzz_check(rc < 0 && err.text[0]);
		return 0;
	}
	fuzz_check(caps.common.present && caps.notify.present && caps.device.present);
	check_cap(&caps.common);
	check_cap(&caps.notify);
	check_cap(&caps.device);
	check_cap(&caps.isr);
	fuzz_check(!caps.msix || (caps.msix_vectors >= 1 && caps.msix_vectors <= 2048));
	fuzz_check(!caps.pci_cfg || (caps.pci_cfg >= 64 && caps.pci_cfg <= 256 - 20));
	return 0;
}
