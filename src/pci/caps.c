/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The walk over a function's capabilities. */
/*
 * Everything here was written by the device. Configuration space is read entry by entry, and each
 * byte that is checked is read once: an entry is copied, then checked, then used. The space is
 * never read as a whole, because a read of pci_cfg_data (4.1.4.9) is an access to whatever register
 * the window points at, and a read of the ISR register has an effect.
 *
 * Of a list that breaks off (a loop, an entry outside) the entries before the break are kept. The
 * break is an error only if a structure that is needed was not among them.
 */
#include "pci/caps.h"

#include "base/util.h"

#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#define CONFIG_SIZE 256U
#define HEADER_SIZE 64U
#define ENTRIES_MAX 48

/* struct virtio_pci_cap (4.1.4): offsets in it, and its length. */
#define CAP_LEN 2
#define CAP_CFG_TYPE 3
#define CAP_BAR 4
#define CAP_OFFSET 8
#define CAP_LENGTH 12
#define CAP_SIZE 16U
/* What follows it in a NOTIFY (notify_off_multiplier) and in a PCI_CFG entry (pci_cfg_data). */
#define CAP_EXTRA 4U
/* Of shared memory: its id, and the high halves of offset and length that follow. */
#define CAP_ID 5
#define CAP_OFFSET_HIGH 16
#define CAP_LENGTH_HIGH 20
#define CAP_64_SIZE 24U

#define BAR_COUNT 6

/* Bytes that a structure of each type has at least; its user may need more (4.1.4.3 - 4.1.4.6). */
#define COMMON_LENGTH_MIN 0x38U
#define NOTIFY_LENGTH_MIN 2U
#define ISR_LENGTH_MIN 1U
#define DEVICE_LENGTH_MIN 1U

struct walk {
	const struct viofs_pci_config *config;
	struct viofs_pci_caps caps;
	unsigned int seen_virtio; /* entries that looked like virtio's, good or not */
	const char *broken;       /* why the list ended early */
	unsigned int broken_at;
};

static int read_u16(const struct walk *w, unsigned int off, uint16_t *value)
{
	uint8_t b[2];
	int rc = w->config->read(w->config->context, off, b, sizeof(b));

	if (!rc)
		*value = (uint16_t)(b[0] | b[1] << 8);
	return rc;
}

static uint32_t get_le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static void parse_structure(struct viofs_pci_cap *c, const uint8_t *raw, unsigned int pos,
			    uint32_t length_min)
{
	uint32_t offset = get_le32(raw + CAP_OFFSET);
	uint32_t length = get_le32(raw + CAP_LENGTH);

	if (c->present || raw[CAP_BAR] >= BAR_COUNT || length < length_min)
		return;
	if (!viofs_range_ok(offset, length, UINT32_MAX))
		return;
	*c = (struct viofs_pci_cap){
		.present = true,
		.bar = raw[CAP_BAR],
		.offset = offset,
		.length = length,
		.position = (uint8_t)pos,
	};
}

static uint64_t join(uint32_t low, uint32_t high)
{
	return low | (uint64_t)high << 32;
}

/* The first good one of an id counts, as with other structures. */
static void parse_shared_memory(struct viofs_pci_caps *caps, const uint8_t *raw)
{
	const struct viofs_pci_shm region = {
		.id = raw[CAP_ID],
		.bar = raw[CAP_BAR],
		.offset = join(get_le32(raw + CAP_OFFSET), get_le32(raw + CAP_OFFSET_HIGH)),
		.length = join(get_le32(raw + CAP_LENGTH), get_le32(raw + CAP_LENGTH_HIGH)),
	};

	if (caps->shm_count == VIOFS_PCI_SHM_MAX || region.bar >= BAR_COUNT || !region.length ||
	    !viofs_range_ok(region.offset, region.length, UINT64_MAX))
		return;
	for (unsigned int i = 0; i < caps->shm_count; i++)
		if (caps->shm[i].id == region.id)
			return;
	caps->shm[caps->shm_count++] = region;
}

static int parse_virtio(struct walk *w, unsigned int pos)
{
	struct viofs_pci_caps *caps = &w->caps;
	uint8_t raw[CAP_64_SIZE] = { 0 };
	bool had_notify = caps->notify.present;
	int rc;

	w->seen_virtio++;
	if (pos + CAP_SIZE > CONFIG_SIZE)
		return 0;
	rc = w->config->read(w->config->context, pos, raw, CAP_SIZE);
	if (rc || raw[CAP_LEN] < CAP_SIZE || pos + raw[CAP_LEN] > CONFIG_SIZE)
		return rc;

	switch (raw[CAP_CFG_TYPE]) {
	case VIOFS_PCI_CFG_COMMON:
		parse_structure(&caps->common, raw, pos, COMMON_LENGTH_MIN);
		break;
	case VIOFS_PCI_CFG_NOTIFY:
		if (had_notify || raw[CAP_LEN] < CAP_SIZE + CAP_EXTRA)
			break;
		rc = w->config->read(w->config->context, pos + CAP_SIZE, raw + CAP_SIZE, CAP_EXTRA);
		if (rc)
			return rc;
		parse_structure(&caps->notify, raw, pos, NOTIFY_LENGTH_MIN);
		if (caps->notify.present)
			caps->notify_off_multiplier = get_le32(raw + CAP_SIZE);
		break;
	case VIOFS_PCI_CFG_ISR:
		parse_structure(&caps->isr, raw, pos, ISR_LENGTH_MIN);
		break;
	case VIOFS_PCI_CFG_DEVICE:
		parse_structure(&caps->device, raw, pos, DEVICE_LENGTH_MIN);
		break;
	case VIOFS_PCI_CFG_PCI:
		/*
		 * BAR, offset and length are the driver's to write. cloud-hypervisor up to 2026
		 * gives cap_len as 16 although the data register is there.
		 */
		if (!caps->pci_cfg && pos + CAP_SIZE + CAP_EXTRA <= CONFIG_SIZE)
			caps->pci_cfg = (uint8_t)pos;
		break;
	case VIOFS_PCI_CFG_SHARED_MEMORY:
		if (raw[CAP_LEN] < CAP_64_SIZE)
			break;
		rc = w->config->read(w->config->context, pos + CAP_SIZE, raw + CAP_SIZE,
				     CAP_64_SIZE - CAP_SIZE);
		if (rc)
			return rc;
		parse_shared_memory(caps, raw);
		break;
	default:
		break;
	}
	return 0;
}

static int parse_msix(struct walk *w, unsigned int pos)
{
	uint16_t control = 0;
	int rc;

	if (w->caps.msix || pos + PCI_CAP_MSIX_SIZEOF > CONFIG_SIZE)
		return 0;
	rc = read_u16(w, pos + PCI_MSIX_FLAGS, &control);
	if (rc)
		return rc;
	w->caps.msix = (uint8_t)pos;
	w->caps.msix_vectors = (uint16_t)((control & PCI_MSIX_FLAGS_QSIZE) + 1);
	return 0;
}

static void set_broken(struct walk *w, const char *why, unsigned int at)
{
	w->broken = why;
	w->broken_at = at;
}

static int walk_list(struct walk *w)
{
	uint64_t visited = 0; /* one bit for each double word of configuration space */
	uint8_t pos, id_next[2];
	int rc;

	rc = w->config->read(w->config->context, PCI_CAPABILITY_LIST, &pos, 1);
	for (int i = 0; !rc; i++) {
		pos &= 0xfc; /* the low two bits are reserved (PCI 3.0 6.7) */
		if (!pos)
			return 0;
		if (pos < HEADER_SIZE)
			set_broken(w, "points into the header", pos);
		else if (visited & 1ULL << (pos / 4))
			set_broken(w, "is a loop", pos);
		else if (i == ENTRIES_MAX)
			set_broken(w, "has too many entries", pos);
		if (w->broken)
			return 0;
		visited |= 1ULL << (pos / 4);

		rc = w->config->read(w->config->context, pos, id_next, sizeof(id_next));
		if (!rc && id_next[0] == PCI_CAP_ID_VNDR)
			rc = parse_virtio(w, pos);
		else if (!rc && id_next[0] == PCI_CAP_ID_MSIX)
			rc = parse_msix(w, pos);
		if (!rc)
			pos = id_next[1];
	}
	return rc;
}

static int judge(const struct walk *w, struct viofs_err *err)
{
	const struct viofs_pci_caps *c = &w->caps;
	const char *missing = NULL;

	if (!c->common.present)
		missing = "common";
	else if (!c->notify.present)
		missing = "notification";
	else if (!c->device.present)
		missing = "device";
	if (!missing)
		return 0;
	if (w->broken)
		return viofs_err_set(err, -EPROTO,
				     "The device's capability list %s (at 0x%x), and its %s "
				     "structure was not found before: the device is faulty.",
				     w->broken, w->broken_at, missing);
	if (!w->seen_virtio)
		return viofs_err_set(err, -ENODEV,
				     "The function has no virtio capabilities: it is no virtio "
				     "device, or a legacy one (give it disable-legacy=on).");
	return viofs_err_set(err, -EPROTO,
			     "The device's capability list has no usable %s structure: the device "
			     "is faulty.",
			     missing);
}

int viofs_pci_caps_walk(const struct viofs_pci_config *config, struct viofs_pci_caps *out,
			struct viofs_err *err)
{
	struct walk w = { .config = config };
	uint16_t status = 0;
	int rc;

	rc = read_u16(&w, PCI_STATUS, &status);
	if (rc)
		goto err_read;
	/* A function that is gone reads as all ones, which no status register can. */
	if (status == 0xffff)
		return viofs_err_set(err, -ENODEV,
				     "The function does not answer: it was unplugged or is off.");
	if (!(status & PCI_STATUS_CAP_LIST))
		return viofs_err_set(err, -ENODEV,
				     "The function has no capabilities: it is no modern virtio "
				     "device.");
	rc = walk_list(&w);
	if (rc)
		goto err_read;
	rc = judge(&w, err);
	if (!rc)
		*out = w.caps;
	return rc;

err_read:
	return viofs_err_set(err, rc, "The function's configuration space can't be read: %s.",
			     strerror(-rc));
}
