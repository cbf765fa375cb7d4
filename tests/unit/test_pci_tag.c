/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Learning a tag: from the kernel driver's sysfs, through configuration space, and what is no tag.
 */
#include "base/run.h"
#include "base/util.h"
#include "pci/sysfs.h"
#include "pci/tag.h"
#include "says.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#define FS "0000:00:04.0"
#define FS2 "0000:00:05.0"

static struct viofs_pci_function function;
static struct viofs_err err;

/* Learning a tag writes no attribute: nobody may lose his device by it. */
static int refuse_write(const char *path, const char *text)
{
	fail_msg("written: %s", path);
	return -EPERM;
}

static int set_up(void **state)
{
	static char root[PATH_MAX], run[PATH_MAX]; /* kept, not copied, by their users */

	function = (struct viofs_pci_function){ .text = FS, .driver = "virtio-pci" };
	err.text[0] = 0;
	tree_make();
	snprintf(root, sizeof(root), "%s", tree_path("sys"));
	viofs_pci_set_sysfs_root(root);
	snprintf(run, sizeof(run), "%s", tree_path("run"));
	viofs_run_set_dir(run);
	viofs_pci_set_sysfs_writer(refuse_write);
	tree_dir("sys/bus/pci/devices/" FS);
	return 0;
}

static int tear_down(void **state)
{
	viofs_pci_set_sysfs_root(NULL);
	viofs_run_set_dir(NULL);
	viofs_pci_set_sysfs_writer(NULL);
	tree_remove();
	return 0;
}

static int read_tag(char tag[VIOFS_TAG_TEXT], uint32_t *queues)
{
	return viofs_pci_tag_read(&function, tag, queues, &err);
}

static void add_instance(const char *number, const char *address, const char *tag)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), "sys/fs/virtiofs/%s/device", number);
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s/virtio%s", address,
		 number);
	tree_link(path, target);
	snprintf(path, sizeof(path), "sys/fs/virtiofs/%s/tag", number);
	tree_file(path, tag);
}

static void the_tag_comes_from_the_kernels_driver(void **state)
{
	char tag[VIOFS_TAG_TEXT];
	uint32_t queues = 9;

	add_instance("1", FS2, "other\n");
	add_instance("2", FS, "my\xc3\xa4 fs\n");
	tree_dir("sys/fs/virtiofs/strange");
	if (read_tag(tag, &queues))
		fail_msg("%s", err.text);
	assert_string_equal(tag, "my\xc3\xa4 fs");
	assert_int_equal(queues, 0);
	assert_int_equal(read_tag(tag, NULL), 0);
	add_instance("2", FS, "abcdefghijklmnopqrstuvwxyz0123456789\n");
	assert_int_equal(read_tag(tag, NULL), 0);
	assert_string_equal(tag, "abcdefghijklmnopqrstuvwxyz0123456789");
}

static void tags_in_sysfs_that_make_no_sense_are_refused(void **state)
{
	char tag[VIOFS_TAG_TEXT];

	add_instance("2", FS, "abcdefghijklmnopqrstuvwxyz0123456789x\n");
	assert_int_equal(read_tag(tag, NULL), -EPROTO);
	says(&err, "longer than 36");
	add_instance("2", FS, "\n");
	assert_int_equal(read_tag(tag, NULL), -EPROTO);
	says(&err, FS);
	add_instance("2", FS, "a\001b\n");
	assert_int_equal(read_tag(tag, NULL), -EPROTO);
	add_instance("2", FS, "a\xff\n");
	assert_int_equal(read_tag(tag, NULL), -EPROTO);
	says(&err, "UTF-8");
}

static void a_function_with_vfio_is_not_looked_into(void **state)
{
	char tag[VIOFS_TAG_TEXT];

	strcpy(function.driver, "vfio-pci");
	assert_int_equal(read_tag(tag, NULL), -EOPNOTSUPP);
	says(&err, "vfio-pci");
}

/*
 * A configuration space in a file: a list with a window, whose data register is `data` wherever it
 * points. That a plain file serves as a device needs a tag that repeats every 4 bytes.
 */
static void put_config(const char *data, bool window)
{
	uint8_t c[256] = { 0 };
	static const uint8_t list[][20] = {
		{ 9, 0x54, 16, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0 },
		{ 9, 0x68, 20, 2, 4, 0, 0, 0, 0, 0x30, 0, 0, 0, 0x10, 0, 0 },
		{ 9, 0x7c, 16, 4, 4, 0, 0, 0, 0, 0x20, 0, 0, 0, 0x10, 0, 0 },
		{ 9, 0, 20, 5 },
	};

	c[4] = 2;
	c[6] = 0x10;
	c[0x34] = 0x40;
	c[0x23] = 0xfe;
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(list); i++)
		memcpy(c + 0x40 + 0x14 * i, list[i], sizeof(list[i]));
	memcpy(c + 0x7c + 16, data, 4);
	if (!window)
		c[0x69] = 0;
	tree_bytes("sys/bus/pci/devices/" FS "/config", c, sizeof(c));
}

static void else_the_tag_comes_through_configuration_space(void **state)
{
	char tag[VIOFS_TAG_TEXT];
	uint32_t queues = 0;

	put_config("a\0\0\0", true);
	if (read_tag(tag, &queues))
		fail_msg("%s", err.text);
	assert_string_equal(tag, "a");
	assert_int_equal(queues, 'a');
	assert_int_equal(read_tag(tag, NULL), 0);
}

static void a_window_that_shows_nonsense_is_not_believed(void **state)
{
	char tag[VIOFS_TAG_TEXT];

	put_config("\0\0\0\0", true);
	assert_int_equal(read_tag(tag, NULL), -EOPNOTSUPP);
	says(&err, "0 request queues");
	put_config("ab\1\0", true);
	assert_int_equal(read_tag(tag, NULL), -EOPNOTSUPP);
	put_config("\xff\0\0\0", true);
	assert_int_equal(read_tag(tag, NULL), -EPROTO);
	says(&err, FS);
	put_config("a\0\0\0", false);
	assert_int_equal(read_tag(tag, NULL), -EOPNOTSUPP);
	says(&err, "no PCI configuration access");
}

static void a_configuration_space_that_cannot_be_read_is_said(void **state)
{
	char tag[VIOFS_TAG_TEXT];

	assert_int_equal(read_tag(tag, NULL), -ENOENT);
	says(&err, "config");
	/* what somebody with no privileges gets to see */
	tree_bytes("sys/bus/pci/devices/" FS "/config", "\0\0\0\0\2\0\x10\0", 8);
	assert_int_equal(read_tag(tag, NULL), -EPERM);
}

static void a_window_in_use_by_another_is_waited_for_in_vain(void **state)
{
	char tag[VIOFS_TAG_TEXT];
	int lock;

	put_config("a\0\0\0", true);
	lock = viofs_run_lock("config-" FS, 0);
	assert_true(lock >= 0);
	assert_int_equal(read_tag(tag, NULL), -EBUSY);
	says(&err, "locked");
	viofs_run_remove("config-" FS, lock);
	assert_int_equal(read_tag(tag, NULL), 0);
	assert_false(tree_exists("run"));
}

/* Anybody may open it, and hold a lock on it for ever. */
static void who_locks_configuration_space_stops_nobody(void **state)
{
	char tag[VIOFS_TAG_TEXT];
	int fd;

	put_config("a\0\0\0", true);
	fd = open(tree_path("sys/bus/pci/devices/" FS "/config"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(read_tag(tag, NULL), 0);
	close(fd);
}

static void tags_are_text_of_1_to_36_bytes(void **state)
{
	static const struct {
		const char *raw;
		int rc;
	} tags[] = {
		{ "a", 0 },
		{ "with blanks/and-more_~", 0 },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 0 },
		{ "\xf4\x8f\xbf\xbf", 0 }, /* U+10FFFF */
		{ "", -EPROTO },
		{ "\x1f", -EPROTO },
		{ "a\x7f", -EPROTO },
		{ "\xc2\x80", -EPROTO }, /* U+0080: a control character */
		{ "\xc2\xa0", 0 },
		{ "\x80", -EPROTO },     /* a continuation first */
		{ "\xc0\xaf", -EPROTO }, /* overlong */
		{ "\xe0\x80\xaf", -EPROTO },
		{ "\xf0\x80\x80\xaf", -EPROTO },
		{ "\xed\xa0\x80", -EPROTO }, /* a surrogate */
		{ "\xf4\x90\x80\x80", -EPROTO },
		{ "\xf5\x80\x80\x80", -EPROTO },
		{ "\xe2\x82", -EPROTO }, /* cut off by the NUL */
		{ "\xc3"
		  "a",
		  -EPROTO },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(tags); i++) {
		uint8_t raw[VIOFS_TAG_SIZE] = { 0 };
		char tag[VIOFS_TAG_TEXT];

		memcpy(raw, tags[i].raw, strlen(tags[i].raw));
		assert_int_equal(viofs_tag_check(raw, tag, &err), tags[i].rc);
		if (!tags[i].rc)
			assert_string_equal(tag, tags[i].raw);
	}
}

/* A sequence that the 36th byte cuts off must not be read on. */
static void a_sequence_cut_off_by_the_end_is_refused(void **state)
{
	uint8_t raw[VIOFS_TAG_SIZE + 2];
	char tag[VIOFS_TAG_TEXT];

	memset(raw, 'a', sizeof(raw));
	memcpy(raw + VIOFS_TAG_SIZE - 1, "\xe2\x82\xac", 3);
	assert_int_equal(viofs_tag_check(raw, tag, &err), -EPROTO);
	says(&err, "at 35");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_tag_comes_from_the_kernels_driver),
		TEST(tags_in_sysfs_that_make_no_sense_are_refused),
		TEST(a_function_with_vfio_is_not_looked_into),
		TEST(else_the_tag_comes_through_configuration_space),
		TEST(a_window_that_shows_nonsense_is_not_believed),
		TEST(a_configuration_space_that_cannot_be_read_is_said),
		TEST(a_window_in_use_by_another_is_waited_for_in_vain),
		TEST(who_locks_configuration_space_stops_nobody),
		TEST(tags_are_text_of_1_to_36_bytes),
		TEST(a_sequence_cut_off_by_the_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
