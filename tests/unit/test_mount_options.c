/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mount(8)'s words: each changes what it says, and a later one has its way. */
#include "base/util.h"
#include "kernel/mount_options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

static struct viofs_mount_options o;
static struct viofs_err err;

static int set_up(void **state)
{
	memset(&o, 0, sizeof(o));
	memset(&err, 0, sizeof(err));
	return 0;
}

static int tear_down(void **state)
{
	viofs_mount_options_fini(&o);
	assert_int_equal(o.attributes, 0);
	for (int i = 0; i < VIOFS_MOUNT_LABELS; i++)
		assert_null(o.labels[i]);
	return 0;
}

static void add(const char *word)
{
	assert_int_equal(viofs_mount_options_add(&o, word, &err), 0);
}

static void each_word_and_its_opposite(void **state)
{
	static const struct {
		const char *on, *off;
		uint64_t attributes;
		uint32_t super;
	} words[] = {
		{ "ro", "rw", MOUNT_ATTR_RDONLY, VIOFS_SUPER_RO },
		{ "nosuid", "suid", MOUNT_ATTR_NOSUID, 0 },
		{ "nodev", "dev", MOUNT_ATTR_NODEV, 0 },
		{ "noexec", "exec", MOUNT_ATTR_NOEXEC, 0 },
		{ "nosymfollow", "symfollow", 0x00200000, 0 },
		{ "noatime", "relatime", MOUNT_ATTR_NOATIME, 0 },
		{ "noatime", "atime", MOUNT_ATTR_NOATIME, 0 },
		{ "strictatime", "nostrictatime", MOUNT_ATTR_STRICTATIME, 0 },
		{ "strictatime", "relatime", MOUNT_ATTR_STRICTATIME, 0 },
		{ "nodiratime", "diratime", MOUNT_ATTR_NODIRATIME, 0 },
		{ "sync", "async", 0, VIOFS_SUPER_SYNC },
		{ "lazytime", "nolazytime", 0, VIOFS_SUPER_LAZYTIME },
		{ "dirsync", NULL, 0, VIOFS_SUPER_DIRSYNC },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(words); i++) {
		set_up(state);
		add(words[i].on);
		assert_int_equal(o.attributes, words[i].attributes);
		assert_int_equal(o.super, words[i].super);
		if (words[i].off)
			add(words[i].off);
		assert_int_equal(o.attributes, 0);
		assert_int_equal(o.super, words[i].off ? 0 : words[i].super);
		/* Nothing else is touched. */
		o.attributes = ~words[i].attributes & ~(uint64_t)MOUNT_ATTR__ATIME;
		o.super = ~words[i].super;
		add(words[i].on);
		assert_int_equal(o.super, UINT32_MAX);
		assert_int_equal(~o.attributes & ~(uint64_t)MOUNT_ATTR__ATIME, 0);
	}
	set_up(state);
}

static void one_of_three_ways_with_access_times(void **state)
{
	add("noatime");
	add("strictatime");
	assert_int_equal(o.attributes, MOUNT_ATTR_STRICTATIME);
	add("noatime");
	assert_int_equal(o.attributes, MOUNT_ATTR_NOATIME);
	add("nostrictatime");
	assert_int_equal(o.attributes, MOUNT_ATTR_NOATIME);
	add("norelatime");
	assert_int_equal(o.attributes, MOUNT_ATTR_NOATIME);
}

static void fstabs_words_for_users_take_rights(void **state)
{
	static const char *const all[] = { "user", "users" }, *const some[] = { "owner", "group" };

	for (int i = 0; i < 2; i++) {
		set_up(state);
		add(all[i]);
		assert_int_equal(o.attributes,
				 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
		set_up(state);
		add(some[i]);
		assert_int_equal(o.attributes, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
		add("dev");
		assert_int_equal(o.attributes, MOUNT_ATTR_NOSUID);
	}
}

static void words_that_change_nothing_are_taken(void **state)
{
	static const char *const words[] = { "norelatime", "iversion", "noiversion", "nomand",
					     "silent",     "loud",     "dax=never",  "dax=inode",
					     "relatime",   "suid" };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(words); i++)
		add(words[i]);
	assert_int_equal(o.attributes, 0);
	assert_int_equal(o.super, 0);
}

static void labels_are_kept_the_last_of_each(void **state)
{
	add("context=a");
	add("rootcontext=d");
	add("context=b");
	add("defcontext=c");
	add("fscontext=e,f");
	assert_string_equal(o.labels[0], "context=b");
	assert_string_equal(o.labels[1], "fscontext=e,f");
	assert_string_equal(o.labels[2], "defcontext=c");
	assert_string_equal(o.labels[3], "rootcontext=d");
}

static void other_words_are_none_of_these(void **state)
{
	static const char *const words[] = { "",   "rox",  "r",    "context", "xcontext=a",
					     "RO", "dax=", "daxx", "poll=irq" };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(words); i++)
		assert_int_equal(viofs_mount_options_add(&o, words[i], &err), -ENOENT);
	assert_string_equal(err.text, "");
	assert_int_equal(viofs_mount_options_add(&o, "dax", &err), -EINVAL);
	assert_non_null(strstr(err.text, "\"dax\" needs the device's DAX window"));
	assert_int_equal(viofs_mount_options_add(&o, "dax=always", &err), -EINVAL);
	assert_non_null(strstr(err.text, "\"dax=always\""));
	assert_int_equal(o.attributes, 0);
}

static void the_super_blocks_flags_have_words(void **state)
{
	assert_string_equal(viofs_mount_options_super_word(VIOFS_SUPER_RO), "ro");
	assert_string_equal(viofs_mount_options_super_word(VIOFS_SUPER_SYNC), "sync");
	assert_string_equal(viofs_mount_options_super_word(VIOFS_SUPER_DIRSYNC), "dirsync");
	assert_string_equal(viofs_mount_options_super_word(VIOFS_SUPER_LAZYTIME), "lazytime");
	assert_null(viofs_mount_options_super_word(1 << 20));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_word_and_its_opposite),         TEST(one_of_three_ways_with_access_times),
		TEST(fstabs_words_for_users_take_rights), TEST(words_that_change_nothing_are_taken),
		TEST(labels_are_kept_the_last_of_each),   TEST(other_words_are_none_of_these),
		TEST(the_super_blocks_flags_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
