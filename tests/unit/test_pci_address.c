/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI addresses as text: what is one, and what is a tag that only looks like it. */
#include "base/util.h"
#include "pci/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void reads_as(const char *text, uint32_t domain, unsigned int bus, unsigned int device,
		     unsigned int function)
{
	struct viofs_pci_address a;

	assert_int_equal(viofs_pci_address_parse(text, &a), 0);
	assert_int_equal(a.domain, domain);
	assert_int_equal(a.bus, bus);
	assert_int_equal(a.device, device);
	assert_int_equal(a.function, function);
}

static void both_forms_are_read(void **state)
{
	reads_as("0000:00:04.0", 0, 0, 4, 0);
	reads_as("00:04.0", 0, 0, 4, 0);
	reads_as("abcd:ef:1f.7", 0xabcd, 0xef, 0x1f, 7);
	reads_as("ff:1f.7", 0, 0xff, 0x1f, 7);
}

static void capitals_are_digits_too(void **state)
{
	reads_as("00FF:3A:1E.2", 0xff, 0x3a, 0x1e, 2);
	reads_as("AB:0C.1", 0, 0xab, 0xc, 1);
}

static void long_domains_are_read(void **state)
{
	reads_as("10000:e1:00.0", 0x10000, 0xe1, 0, 0); /* Intel VMD */
	reads_as("ffffffff:ff:1f.7", 0xffffffff, 0xff, 0x1f, 7);
}

static void anything_else_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"myfs",
		":",
		".",
		"0",
		"0000",
		"0000:",
		"0000:00",
		"0000:00:",
		"0000:00:04",
		"0000:00:04.",
		"00:04",
		"00:04.",
		"0:04.0",
		"000:04.0",
		"000:00:04.0",
		"00:4.0",
		"00:004.0",
		"0000:0:04.0",
		"0000:000:04.0",
		"0000:00:20.0",
		"00:20.0",
		"00:ff.0",
		"00:04.8",
		"00:04.9",
		"00:04.a",
		"00:04.00",
		"00:04.-1",
		"00:04.0 ",
		" 00:04.0",
		"00:04.0\n",
		"00:04.0.",
		"00:04:0",
		"0000.00:04.0",
		"0000:00.04.0",
		"000000000:00:04.0",
		"123456789:00:04.0",
		"0x00:04.0",
		"0000:0g:04.0",
		"g000:00:04.0",
		"00:0g.0",
		"-0:04.0",
		"+000:00:04.0",
		"00:04,0",
		"0000:00:04.0:",
		"00:00:04.0",
		"0000:0000:00:04.0",
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(bad); i++) {
		struct viofs_pci_address a, before;

		memset(&a, 0x5a, sizeof(a));
		before = a;
		if (viofs_pci_address_parse(bad[i], &a) != -EINVAL)
			fail_msg("taken as an address: \"%s\"", bad[i]);
		assert_memory_equal(&a, &before, sizeof(a));
	}
}

static void formatting_gives_what_sysfs_has(void **state)
{
	static const char *const texts[] = { "0000:00:04.0", "abcd:ef:1f.7", "10000:e1:00.1",
					     "ffffffff:ff:1f.7" };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(texts); i++) {
		char buf[VIOFS_PCI_ADDRESS_TEXT];
		struct viofs_pci_address a;

		assert_int_equal(viofs_pci_address_parse(texts[i], &a), 0);
		assert_ptr_equal(viofs_pci_address_format(&a, buf), buf);
		assert_string_equal(buf, texts[i]);
	}
}

static void an_impossible_address_stays_in_its_buffer(void **state)
{
	struct viofs_pci_address a = { UINT32_MAX, 255, 255, 255 };
	char buf[VIOFS_PCI_ADDRESS_TEXT];

	assert_string_equal(viofs_pci_address_format(&a, buf), "ffffffff:ff:1f.7");
}

static void addresses_are_equal_in_all_parts_or_not(void **state)
{
	const struct viofs_pci_address a = { 1, 2, 3, 4 };
	const struct viofs_pci_address others[] = {
		{ 0, 2, 3, 4 }, { 1, 0, 3, 4 }, { 1, 2, 0, 4 }, { 1, 2, 3, 0 }
	};

	assert_true(viofs_pci_address_equal(&a, &(struct viofs_pci_address){ 1, 2, 3, 4 }));
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(others); i++)
		assert_false(viofs_pci_address_equal(&a, &others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_are_read),
		cmocka_unit_test(capitals_are_digits_too),
		cmocka_unit_test(long_domains_are_read),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(formatting_gives_what_sysfs_has),
		cmocka_unit_test(an_impossible_address_stays_in_its_buffer),
		cmocka_unit_test(addresses_are_equal_in_all_parts_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
