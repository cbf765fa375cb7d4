/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers through configuration space: a window that works, and windows that must not be
 * believed. */
#include "base/util.h"
#include "pci/window.h"
#include "says.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COMMON_AT 0x40U
#define NOTIFY_AT 0x50U
#define DEVICE_AT 0x68U
#define WINDOW_AT 0x78U
#define DEVICE_BAR 4U
#define DEVICE_OFFSET 0x2000U
#define DEVICE_LENGTH 0x40U

static struct {
	uint8_t bytes[256];
	uint8_t registers[DEVICE_LENGTH];
	unsigned int data_reads, writes;
	unsigned int refuse_write_at; /* 0 = none */
	unsigned int fail_read_at;
	bool offset_sticks;
	const char *violation;
} space;

static uint8_t got[DEVICE_LENGTH];
static struct viofs_err err;

static uint32_t get32(unsigned int at)
{
	uint32_t v = 0;

	for (unsigned int i = 4; i-- > 0;)
		v = v << 8 | space.bytes[at + i];
	return v;
}

static void put32(unsigned int at, uint32_t value)
{
	for (unsigned int i = 0; i < 4; i++)
		space.bytes[at + i] = (uint8_t)(value >> (8 * i));
}

static void violate(const char *what)
{
	if (!space.violation)
		space.violation = what;
}

static void read_register(void *buf, unsigned int len)
{
	uint32_t at = get32(WINDOW_AT + 8) - DEVICE_OFFSET;

	space.data_reads++;
	if (len != 4 || get32(WINDOW_AT + 12) != 4 || get32(WINDOW_AT + 8) % 4)
		violate("an access that is not of 4 aligned bytes");
	if (space.bytes[WINDOW_AT + 4] != DEVICE_BAR || !viofs_range_ok(at, 4, DEVICE_LENGTH)) {
		violate("an access outside the device's configuration");
		return;
	}
	memcpy(buf, space.registers + at, 4);
}

static int space_read(void *context, unsigned int off, void *buf, unsigned int len)
{
	assert_true(viofs_range_ok(off, len, sizeof(space.bytes)));
	if (space.fail_read_at && off == space.fail_read_at)
		return -EIO;
	if (off == WINDOW_AT + 16)
		read_register(buf, len);
	else
		memcpy(buf, space.bytes + off, len);
	return 0;
}

static int space_write(void *context, unsigned int off, const void *buf, unsigned int len)
{
	space.writes++;
	if (off < WINDOW_AT + 4 || off + len > WINDOW_AT + 16)
		violate("something other than the window was written");
	if (space.refuse_write_at && off == space.refuse_write_at)
		return -EPERM;
	if (off != WINDOW_AT + 8 || space.offset_sticks)
		memcpy(space.bytes + off, buf, len);
	return 0;
}

static void put_virtio(unsigned int at, uint8_t next, uint8_t len, uint8_t type, uint32_t offset,
		       uint32_t length)
{
	const uint8_t head[] = { 9, next, len, type, DEVICE_BAR };

	memcpy(space.bytes + at, head, sizeof(head));
	put32(at + 8, offset);
	put32(at + 12, length);
}

static int set_up(void **state)
{
	memset(&space, 0, sizeof(space));
	memset(got, 0, sizeof(got));
	err.text[0] = 0;
	space.offset_sticks = true;
	space.bytes[0x04] = 2;                    /* memory is decoded */
	space.bytes[0x06] = 0x10;                 /* there is a list */
	put32(0x10 + 4 * DEVICE_BAR, 0xfe00000c); /* 64 bits, prefetchable */
	space.bytes[0x34] = COMMON_AT;
	put_virtio(COMMON_AT, NOTIFY_AT, 16, 1, 0, 0x1000);
	put_virtio(NOTIFY_AT, DEVICE_AT, 20, 2, 0x3000, 0x1000);
	put_virtio(DEVICE_AT, WINDOW_AT, 16, 4, DEVICE_OFFSET, DEVICE_LENGTH);
	put_virtio(WINDOW_AT, 0, 20, 5, 0, 0);
	for (unsigned int i = 0; i < DEVICE_LENGTH; i++)
		space.registers[i] = (uint8_t)(i * 7 + 1);
	return 0;
}

static int look(unsigned int off, unsigned int len)
{
	const struct viofs_pci_config config = { space_read, space_write, NULL };
	int rc = viofs_pci_window_read(&config, off, got, len, &err);

	if (space.violation)
		fail_msg("%s", space.violation);
	return rc;
}

static void refused(int rc, const char *words)
{
	assert_int_equal(look(0, 40), rc);
	says(&err, words);
}

static void the_devices_configuration_is_read(void **state)
{
	if (look(0, 40))
		fail_msg("%s", err.text);
	assert_memory_equal(got, space.registers, 40);
	assert_int_equal(space.data_reads, 10);
	if (look(36, 28))
		fail_msg("%s", err.text);
	assert_memory_equal(got, space.registers + 36, 28);
}

/* Whoever dumps configuration space later reads no register. */
static void the_window_is_closed_afterwards(void **state)
{
	assert_int_equal(look(0, 40), 0);
	assert_int_equal(get32(WINDOW_AT + 12), 0);
	set_up(NULL);
	space.offset_sticks = false;
	assert_int_equal(look(0, 40), -EOPNOTSUPP);
	assert_int_equal(get32(WINDOW_AT + 12), 0);
}

static void without_a_window_it_is_not_supported(void **state)
{
	space.bytes[DEVICE_AT + 1] = 0;
	refused(-EOPNOTSUPP, "no PCI configuration access capability");
	assert_int_equal(space.writes, 0);
}

static void a_window_that_keeps_its_offset_does_not_work(void **state)
{
	space.offset_sticks = false;
	refused(-EOPNOTSUPP, "does not work");
	assert_int_equal(space.data_reads, 0);
}

static void a_configuration_too_short_is_refused(void **state)
{
	put32(DEVICE_AT + 12, 39);
	refused(-EPROTO, "only 39 bytes, 40 are needed");
	assert_int_equal(space.writes, 0);
}

static void a_function_that_decodes_no_memory_is_not_touched(void **state)
{
	space.bytes[0x04] = 0;
	refused(-EOPNOTSUPP, "switched off");
	set_up(NULL);
	put32(0x10 + 4 * DEVICE_BAR, 0x0c); /* no address yet */
	refused(-EOPNOTSUPP, "switched off");
	assert_int_equal(space.writes, 0);
	/* an address above 4 GiB is one */
	put32(0x10 + 4 * DEVICE_BAR + 4, 0x38);
	assert_int_equal(look(0, 40), 0);
}

static void a_bar_in_io_space_is_not_touched(void **state)
{
	put32(0x10 + 4 * DEVICE_BAR, 0xc001);
	refused(-EOPNOTSUPP, "I/O space");
	assert_int_equal(space.writes, 0);
}

static void the_last_bar_has_no_upper_half(void **state)
{
	space.bytes[DEVICE_AT + 4] = 5;
	put32(0x10 + 4 * 5, 4); /* says 64 bits, which it can't be */
	put32(0x10 + 4 * 6, 0xffffffff);
	refused(-EOPNOTSUPP, "switched off");
}

static void errors_of_the_accessor_are_passed_on(void **state)
{
	static const unsigned int reads[] = { 0x04, 0x10 + 4 * DEVICE_BAR, WINDOW_AT + 8,
					      WINDOW_AT + 16 };
	static const unsigned int writes[] = { WINDOW_AT + 4, WINDOW_AT + 8, WINDOW_AT + 12 };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(reads); i++) {
		set_up(NULL);
		space.fail_read_at = reads[i];
		refused(-EIO, "Configuration space can't be");
	}
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(writes); i++) {
		set_up(NULL);
		space.refuse_write_at = writes[i];
		refused(-EPERM, "locked down");
	}
}

static void what_is_no_virtio_device_is_refused_by_the_walk(void **state)
{
	space.bytes[0x34] = 0;
	refused(-ENODEV, "no virtio capabilities");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_devices_configuration_is_read, set_up),
		cmocka_unit_test_setup(the_window_is_closed_afterwards, set_up),
		cmocka_unit_test_setup(without_a_window_it_is_not_supported, set_up),
		cmocka_unit_test_setup(a_window_that_keeps_its_offset_does_not_work, set_up),
		cmocka_unit_test_setup(a_configuration_too_short_is_refused, set_up),
		cmocka_unit_test_setup(a_function_that_decodes_no_memory_is_not_touched, set_up),
		cmocka_unit_test_setup(a_bar_in_io_space_is_not_touched, set_up),
		cmocka_unit_test_setup(the_last_bar_has_no_upper_half, set_up),
		cmocka_unit_test_setup(errors_of_the_accessor_are_passed_on, set_up),
		cmocka_unit_test_setup(what_is_no_virtio_device_is_refused_by_the_walk, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
