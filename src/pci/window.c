/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device's registers through its configuration space. */
/*
 * The PCI_CFG capability has a BAR, an offset and a length that the driver writes, and a data
 * register: reading that one reads the device at that place. No driver in use goes this way (Linux
 * and Windows map the BARs), so it disturbs none.
 *
 * Memory decoding must be on, and the BAR must have an address. QEMU resolves the access in the
 * guest's memory map since 9.1.1, and some releases abort the whole guest where the BAR is not in
 * that map (QEMU issue 2576). We don't switch decoding on: that is for whoever has the function.
 *
 * At the end the length is set to 0 again, as after reset. So a dump of configuration space reads
 * no register of the device through the window.
 */
#include "pci/window.h"

#include "base/util.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

/* struct virtio_pci_cfg_cap (4.1.4.9). */
#define WINDOW_BAR 4U
#define WINDOW_OFFSET 8U
#define WINDOW_LENGTH 12U
#define WINDOW_DATA 16U

static int read_le32(const struct viofs_pci_config *c, unsigned int off, uint32_t *value)
{
	uint32_t raw;
	int rc = c->read(c->context, off, &raw, sizeof(raw));

	if (!rc)
		*value = le32toh(raw);
	return rc;
}

static int write_le32(const struct viofs_pci_config *c, unsigned int off, uint32_t value)
{
	uint32_t raw = htole32(value);

	return c->write(c->context, off, &raw, sizeof(raw));
}

static int check_decoding(const struct viofs_pci_config *c, unsigned int bar, struct viofs_err *err)
{
	unsigned int at = PCI_BASE_ADDRESS_0 + 4 * bar;
	uint32_t command = 0, low = 0, high = 0;
	int rc;

	rc = read_le32(c, PCI_COMMAND, &command);
	if (!rc)
		rc = read_le32(c, at, &low);
	if (!rc && bar < 5 &&
	    (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
		rc = read_le32(c, at + 4, &high);
	if (rc)
		return viofs_err_set(err, rc, "Configuration space can't be read: %s.",
				     strerror(-rc));
	if (low & PCI_BASE_ADDRESS_SPACE_IO)
		return viofs_err_set(err, -EOPNOTSUPP,
				     "The device's configuration is in I/O space.");
	if (!(command & PCI_COMMAND_MEMORY) || (!(low & ~0xfU) && !high))
		return viofs_err_set(err, -EOPNOTSUPP,
				     "The function is switched off (it decodes no memory), so its "
				     "registers can't be read.");
	return 0;
}

static int read_words(const struct viofs_pci_config *c, unsigned int window, uint32_t from,
		      uint8_t *buf, unsigned int len)
{
	for (unsigned int i = 0; i < len; i += 4) {
		uint32_t back = 0;
		int rc;

		rc = write_le32(c, window + WINDOW_OFFSET, from + i);
		if (!rc)
			rc = read_le32(c, window + WINDOW_OFFSET, &back);
		if (!rc && back != from + i)
			rc = -EOPNOTSUPP;
		/* Bytes as the device has them: no conversion. */
		if (!rc)
			rc = c->read(c->context, window + WINDOW_DATA, buf + i, 4);
		if (rc)
			return rc;
	}
	return 0;
}

int viofs_pci_window_read(const struct viofs_pci_config *config, unsigned int off, void *buf,
			  unsigned int len, struct viofs_err *err)
{
	struct viofs_pci_caps caps;
	int rc;

	assert(off % 4 == 0 && len % 4 == 0);
	rc = viofs_pci_caps_walk(config, &caps, err);
	if (rc)
		return rc;
	if (!caps.pci_cfg)
		return viofs_err_set(err, -EOPNOTSUPP,
				     "The device has no PCI configuration access capability.");
	if (!viofs_range_ok(off, len, caps.device.length))
		return viofs_err_set(err, -EPROTO,
				     "The device's configuration has only %u bytes, %u are needed.",
				     caps.device.length, off + len);
	rc = check_decoding(config, caps.device.bar, err);
	if (rc)
		return rc;

	rc = config->write(config->context, caps.pci_cfg + WINDOW_BAR, &caps.device.bar, 1);
	if (!rc)
		rc = write_le32(config, caps.pci_cfg + WINDOW_LENGTH, 4);
	if (!rc)
		rc = read_words(config, caps.pci_cfg, caps.device.offset + off, buf, len);
	write_le32(config, caps.pci_cfg + WINDOW_LENGTH, 0);
	if (rc == -EOPNOTSUPP)
		return viofs_err_set(err, rc,
				     "The device's PCI configuration access capability does not "
				     "work.");
	if (rc)
		return viofs_err_set(err, rc, "Configuration space can't be written: %s.%s",
				     strerror(-rc),
				     rc == -EPERM ? " Is the kernel locked down?" : "");
	return 0;
}
