/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is a tag mounted: mountinfo texts, and a /proc of the test's own with several namespaces. */
#include "base/util.h"
#include "attach/mountinfo.h"
#include "pci/sysfs.h"
#include "tree.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROOT "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"

static struct viofs_mounted mounted;

/* @address: with it, or where @ours, our mounts are looked for. */
static int match(const char *text, bool ours, const char *tag, const char *address)
{
	const struct viofs_mountinfo_query q = { ours, .source = tag, .address = address };

	memset(&mounted, 0x5a, sizeof(mounted));
	return viofs_mountinfo_match(text, &q, &mounted);
}

static void is_mounted(const char *text, const char *tag, const char *address, const char *where,
		       bool ours)
{
	if (!match(text, ours, tag, address))
		fail_msg("not found in: %s", text);
	assert_string_equal(mounted.mountpoint, where);
	assert_false(match(text, !ours, tag, address));
}

static void is_not(const char *text, const char *tag, const char *address)
{
	if (match(text, false, tag, address) || match(text, true, tag, address))
		fail_msg("found in: %s", text);
}

static int search(bool ours, const char *tag)
{
	const struct viofs_mountinfo_query q = { ours, .source = tag };

	return viofs_mountinfo_search(&q, &mounted);
}

static void the_kernels_mount_is_found_by_its_tag(void **state)
{
	is_mounted(ROOT "40 22 0:35 / /mnt rw,relatime shared:9 - virtiofs myfs rw\n", "myfs", NULL,
		   "/mnt", false);
	is_not(ROOT "40 22 0:35 / /mnt rw - virtiofs myfs2 rw\n", "myfs", NULL);
	is_not(ROOT "40 22 0:35 / /mnt rw - virtiofs myf rw\n", "myfs", NULL);
}

static void our_mount_is_found_by_tag_or_address(void **state)
{
	const char *by_tag = "40 22 0:35 / /mnt rw - fuse.virtiofs-vfio myfs rw\n";
	const char *by_address = "40 22 0:35 / /mnt rw - fuse.virtiofs-vfio 00:04.0 rw\n";

	is_mounted(by_tag, "myfs", "0000:00:04.0", "/mnt", true);
	is_mounted(by_address, "myfs", "0000:00:04.0", "/mnt", true);
	is_mounted(by_address, NULL, "0000:00:04.0", "/mnt", true);
	is_not(by_address, "myfs", "0000:00:05.0");
	is_not(by_address, "myfs", NULL);
	is_not(by_address, "myfs", "no address");
	is_not(by_tag, NULL, "0000:00:04.0");
}

static void the_kernels_mounts_have_no_addresses(void **state)
{
	is_not("40 22 0:35 / /mnt rw - virtiofs 0000:00:04.0 rw\n", "myfs", "0000:00:04.0");
	/* unless that is its tag */
	is_mounted("40 22 0:35 / /mnt rw - virtiofs 0000:00:04.0 rw\n", "0000:00:04.0", NULL,
		   "/mnt", false);
}

static void other_types_do_not_count(void **state)
{
	static const char *const types[] = { "ext4",          "9p",        "fuse",
					     "fuse.virtiofs", "virtiofs2", "fuse.virtiofs-vfio2",
					     "fuse.sshfs",    "virtiof" };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(types); i++) {
		char text[128];

		snprintf(text, sizeof(text), "40 22 0:35 / /mnt rw - %s myfs rw\n", types[i]);
		is_not(text, "myfs", "0000:00:04.0");
	}
}

static void optional_fields_may_be_many_or_none(void **state)
{
	is_mounted("40 22 0:35 / /mnt rw - virtiofs myfs rw", "myfs", NULL, "/mnt", false);
	is_mounted("40 22 0:35 / /mnt rw shared:1 master:2 propagate_from:3 unbindable - virtiofs "
		   "myfs "
		   "rw\n",
		   "myfs", NULL, "/mnt", false);
}

static void escapes_are_undone(void **state)
{
	is_mounted("40 22 0:35 / /my\\040mount\\011x rw - virtiofs my\\040fs rw\n", "my fs", NULL,
		   "/my mount\tx", false);
	is_mounted("40 22 0:35 / /a\\134b\\012 rw - virtiofs back\\134slash rw\n", "back\\slash",
		   NULL, "/a\\b\n", false);
	/* a tag that looks like an escape: its backslash is one */
	is_mounted("40 22 0:35 / /m rw - virtiofs a\\134040b rw\n", "a\\040b", NULL, "/m", false);
	is_not("40 22 0:35 / /m rw - virtiofs a\\134040b rw\n", "a b", NULL);
	/* what is no escape stays: too few digits, no octal ones, beyond a byte, at the end */
	is_mounted("40 22 0:35 / /a\\04 rw - virtiofs a\\089b rw\n", "a\\089b", NULL, "/a\\04",
		   false);
	is_mounted("40 22 0:35 / /m rw - virtiofs a\\400b\\ rw\n", "a\\400b\\", NULL, "/m", false);
	is_mounted("40 22 0:35 / /m rw - virtiofs \\303\\244\\377 rw\n", "\303\244\377", NULL, "/m",
		   false);
}

static void words_elsewhere_in_the_line_do_not_count(void **state)
{
	/* the mount point or an option looks like it */
	is_not("40 22 0:35 / /-virtiofs rw - ext4 /dev/sda rw\n", "myfs", NULL);
	is_not("40 22 0:35 / /mnt rw - ext4 virtiofs myfs\n", "myfs", NULL);
	is_not("40 22 0:35 /virtiofs /myfs rw - tmpfs virtiofs rw,myfs\n", "myfs", NULL);
}

static void broken_lines_are_passed_over(void **state)
{
	static const char *const broken[] = { "",
					      "\n",
					      "\n\n\n",
					      " ",
					      "40",
					      "40 22 0:35 / /mnt rw",
					      "40 22 0:35 / /mnt rw -",
					      "40 22 0:35 / /mnt rw - virtiofs",
					      "40 22 0:35 / /mnt rw virtiofs myfs rw\n",
					      "- virtiofs myfs rw\n" };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(broken); i++)
		is_not(broken[i], "myfs", "0000:00:04.0");
	is_mounted("40 22 0:35 / /mnt rw\n40 22 0:35 / /mnt2 rw - virtiofs myfs rw\n", "myfs", NULL,
		   "/mnt2", false);
}

/* A type or source longer than any buffer for it. */
static void long_words_are_cut_and_do_not_match(void **state)
{
	char text[8192], longest[5000], where[5000];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	snprintf(text, sizeof(text), "40 22 0:35 / /mnt rw - virtiofs %s rw\n", longest);
	is_not(text, "myfs", NULL);
	snprintf(text, sizeof(text), "40 22 0:35 / /mnt rw - virtiofs%s myfs rw\n", longest);
	is_not(text, "myfs", NULL);
	snprintf(text, sizeof(text), "40 22 0:35 / /%s rw - virtiofs myfs rw\n", longest);
	snprintf(where, sizeof(where), "/%.4094s", longest);
	is_mounted(text, "myfs", NULL, where, false);
}

static void no_source_finds_any(void **state)
{
	is_mounted(ROOT "40 22 0:35 / /mnt rw - virtiofs myfs rw\n", NULL, NULL, "/mnt", false);
	is_mounted("40 22 0:35 / /m rw - fuse.virtiofs-vfio myfs rw\n", NULL, NULL, "/m", true);
	is_not(ROOT, NULL, NULL);
}

static void a_mount_is_found_by_its_file_system(void **state)
{
	static const char text[] = ROOT "40 22 0:35 / /a rw - fuse.virtiofs-vfio x rw\n"
					"41 22 0:36 / /b rw - fuse.virtiofs-vfio x rw\n"
					"42 22 8:37 / /c rw - fuse.virtiofs-vfio x rw\n";
	struct viofs_mountinfo_query q = { .ours = true, .minor = 36 };

	assert_true(viofs_mountinfo_match(text, &q, &mounted));
	assert_string_equal(mounted.mountpoint, "/b");
	q.minor = 3;
	assert_false(viofs_mountinfo_match(text, &q, &mounted));
	q.minor = 37;
	assert_false(viofs_mountinfo_match(text, &q, &mounted));
	q = (struct viofs_mountinfo_query){ .minor = 36 };
	assert_false(viofs_mountinfo_match(text, &q, &mounted));
}

/* A dead mount of ours, or one that anybody has made with such a source, stands before it. */
static void no_mount_of_ours_hides_the_kernels(void **state)
{
	static const char text[] = ROOT "40 22 0:35 / /dead rw - fuse.virtiofs-vfio myfs rw\n"
					"41 22 0:36 / /live rw - virtiofs myfs rw\n";

	assert_true(match(text, false, "myfs", NULL));
	assert_string_equal(mounted.mountpoint, "/live");
	assert_true(match(text, true, "myfs", NULL));
	assert_string_equal(mounted.mountpoint, "/dead");
}

static void an_empty_tag_finds_nothing_by_accident(void **state)
{
	is_not("40 22 0:35 / /mnt rw - virtiofs myfs rw\n", "", NULL);
}

/* A /proc with processes in namespaces. */
static int make_proc(void **state)
{
	static char root[PATH_MAX]; /* kept, not copied, by its user */

	tree_make();
	snprintf(root, sizeof(root), "%s", tree_path("proc"));
	viofs_pci_set_proc_root(root);
	tree_file("proc/filesystems", "nodev\n");
	tree_file("proc/1/mountinfo", ROOT);
	tree_link("proc/1/ns/mnt", "mnt:[4026531832]");
	tree_file("proc/20/mountinfo", ROOT);
	tree_link("proc/20/ns/mnt", "mnt:[4026531832]");
	return 0;
}

static int drop_proc(void **state)
{
	viofs_pci_set_proc_root(NULL);
	tree_remove();
	return 0;
}

static void a_mount_in_another_namespace_is_found(void **state)
{
	assert_int_equal(search(false, "myfs"), 0);
	assert_string_equal(mounted.mountpoint, "");
	tree_file("proc/300/mountinfo", ROOT "40 22 0:35 / /deep rw - virtiofs myfs rw\n");
	tree_link("proc/300/ns/mnt", "mnt:[4026532000]");
	assert_int_equal(search(false, "myfs"), 1);
	assert_string_equal(mounted.mountpoint, "/deep");
	assert_int_equal(mounted.pid, 300);
	assert_int_equal(search(true, "myfs"), 0);
	assert_int_equal(search(false, "other"), 0);
}

/* It ended while we looked: another process stands for its namespace. */
static void a_process_that_ended_does_not_hide_its_namespace(void **state)
{
	/* readdir may give either first, so every pid of the namespace but one has ended */
	tree_link("proc/400/ns/mnt", "mnt:[4026532001]");
	tree_link("proc/401/ns/mnt", "mnt:[4026532001]");
	tree_file("proc/401/mountinfo", ""); /* ended before the first read */
	tree_link("proc/402/ns/mnt", "mnt:[4026532001]");
	tree_link("proc/403/ns/mnt", "mnt:[4026532001]");
	tree_file("proc/402/mountinfo", "40 22 0:35 / /c rw - fuse.virtiofs-vfio myfs rw\n");
	assert_int_equal(search(true, "myfs"), 1);
	assert_string_equal(mounted.mountpoint, "/c");
	assert_int_equal(mounted.pid, 402);
}

static void what_is_no_process_is_not_looked_at(void **state)
{
	tree_file("proc/self/mountinfo", "40 22 0:35 / /a rw - virtiofs myfs rw\n");
	tree_link("proc/self/ns/mnt", "mnt:[77]");
	tree_file("proc/500/mountinfo", "40 22 0:35 / /a rw - virtiofs myfs rw\n");
	tree_link("proc/500/ns/mnt", "strange"); /* no namespace that we know the look of */
	assert_int_equal(search(false, "myfs"), 0);
}

static void without_proc_it_is_an_error(void **state)
{
	viofs_pci_set_proc_root(tree_path("nowhere"));
	mounted.pid = 99;
	assert_int_equal(search(false, "myfs"), -ENOENT);
	assert_int_equal(mounted.pid, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernels_mount_is_found_by_its_tag),
		cmocka_unit_test(our_mount_is_found_by_tag_or_address),
		cmocka_unit_test(the_kernels_mounts_have_no_addresses),
		cmocka_unit_test(other_types_do_not_count),
		cmocka_unit_test(optional_fields_may_be_many_or_none),
		cmocka_unit_test(escapes_are_undone),
		cmocka_unit_test(words_elsewhere_in_the_line_do_not_count),
		cmocka_unit_test(broken_lines_are_passed_over),
		cmocka_unit_test(long_words_are_cut_and_do_not_match),
		cmocka_unit_test(no_source_finds_any),
		cmocka_unit_test(a_mount_is_found_by_its_file_system),
		cmocka_unit_test(no_mount_of_ours_hides_the_kernels),
		cmocka_unit_test(an_empty_tag_finds_nothing_by_accident),
		cmocka_unit_test_setup_teardown(a_mount_in_another_namespace_is_found, make_proc,
						drop_proc),
		cmocka_unit_test_setup_teardown(a_process_that_ended_does_not_hide_its_namespace,
						make_proc, drop_proc),
		cmocka_unit_test_setup_teardown(what_is_no_process_is_not_looked_at, make_proc,
						drop_proc),
		cmocka_unit_test_setup_teardown(without_proc_it_is_an_error, make_proc, drop_proc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
