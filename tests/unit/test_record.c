/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of devices that are taken, and what the user calls a device. */
#include "base/run.h"
#include "attach/record.h"
#include "attach/source.h"
#include "model_sysfs.h"
#include "pci/sysfs.h"
#include "says.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define A "0000:00:04.0"
#define B "0000:00:05.0"
#define DISK "0000:00:06.0"

static struct viofs_err err;

static int set_up(void **state)
{
	err.text[0] = '\0';
	model_machine_start();
	return 0;
}

static int tear_down(void **state)
{
	model_machine_end();
	return 0;
}

static const struct viofs_record full = {
	.known = true,
	.former = "virtio-pci",
	.pid = 4711,
	.tag = "my=fs",
	.mountpoint = "/mnt/a\nb=c",
};

static void assert_same(const struct viofs_record *a, const struct viofs_record *b)
{
	assert_int_equal(a->known, b->known);
	assert_string_equal(a->former, b->former);
	assert_int_equal(a->by_admin, b->by_admin);
	assert_int_equal(a->pid, b->pid);
	assert_string_equal(a->tag, b->tag);
	assert_string_equal(a->mountpoint, b->mountpoint);
}

static void what_is_written_is_read(void **state)
{
	struct viofs_record r, admin = { .known = true, .by_admin = true };
	int lock = viofs_record_lock(A, 0, &r, &err);

	assert_true(lock >= 0);
	assert_false(r.known);
	assert_int_equal(viofs_record_write(A, lock, &full), 0);
	assert_int_equal(viofs_record_read(A, &r), 0);
	assert_same(&r, &full);
	/* Each word of it by itself, in plain text. */
	assert_string_equal(tree_read("run/" A),
			    "former=virtio-pci\nby=daemon\npid=4711\nminor=0\ntag=my=fs\n"
			    "mountpoint=/mnt/a\nb=c\n");
	assert_int_equal(viofs_record_write(A, lock, &admin), 0);
	assert_int_equal(viofs_record_read(A, &r), 0);
	assert_same(&r, &admin);
	assert_int_equal(viofs_record_write(A, lock, &full), 0);
	close(lock);
	/* Who locks it next is told. */
	lock = viofs_record_lock(A, 0, &r, &err);
	assert_same(&r, &full);
	tree_file("run/" A ".sock", "");
	viofs_record_remove(A, lock);
	assert_false(tree_exists("run/" A));
	assert_false(tree_exists("run/" A ".sock"));
	assert_int_equal(viofs_record_read(A, &r), -ENOENT);
	assert_false(r.known);
}

static void a_record_of_others_words_is_read_as_far_as_it_goes(void **state)
{
	struct viofs_record r;

	tree_file("run/" A, "nonsense\nnew=word\ntag=a-tag\nby=somebody\n");
	assert_int_equal(viofs_record_read(A, &r), 0);
	assert_true(r.known);
	assert_string_equal(r.tag, "a-tag");
	assert_false(r.by_admin);
	assert_int_equal(r.pid, 0);
	assert_string_equal(r.former, "");
	tree_file("run/" A, "nonsense\n");
	assert_int_equal(viofs_record_read(A, &r), 0);
	assert_false(r.known);
}

static void only_one_holds_a_record(void **state)
{
	struct viofs_record r;
	int lock = viofs_record_lock(A, 0, &r, &err);

	assert_int_equal(viofs_record_lock(A, 0, &r, &err), -EBUSY);
	assert_string_equal(err.text, A " is in use.");
	close(lock);
	lock = viofs_record_lock(A, 0, &r, &err);
	assert_true(lock >= 0);
	viofs_record_remove(A, lock);
}

static void left_over_records_of_sockets_are_swept(void **state)
{
	struct viofs_record r;
	int lock = viofs_record_lock("vhost-user-held", 0, &r, &err);

	assert_true(lock >= 0);
	tree_file("run/vhost-user-left", "");
	tree_file("run/vhost-user-left.sock", "");
	tree_file("run/vhost-user-held.sock", "");
	tree_file("run/vhost-user-odd.new", "");
	tree_file("run/" A, "former=virtio-pci\n");
	viofs_record_sweep();
	assert_false(tree_exists("run/vhost-user-left"));
	assert_false(tree_exists("run/vhost-user-left.sock"));
	assert_true(tree_exists("run/vhost-user-held"));
	assert_true(tree_exists("run/vhost-user-held.sock"));
	assert_true(tree_exists("run/vhost-user-odd.new"));
	assert_true(tree_exists("run/" A));
	close(lock);
	viofs_record_sweep();
	assert_false(tree_exists("run/vhost-user-held"));
	viofs_run_set_dir("/nonexistent");
	viofs_record_sweep();
}

static void add(const char *address, const char *number, const char *tag)
{
	char link[64], text[64], target[96];

	model_add_function(address, "0x1af4\n", "0x105a\n", "virtio-pci", "1");
	snprintf(link, sizeof(link), "sys/fs/virtiofs/%s/device", number);
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s/virtio%s", address,
		 number);
	tree_link(link, target);
	snprintf(link, sizeof(link), "sys/fs/virtiofs/%s/tag", number);
	snprintf(text, sizeof(text), "%s\n", tag);
	tree_file(link, text);
}

static int find(const char *text, struct viofs_source *s)
{
	memset(s, 0, sizeof(*s));
	return viofs_source_find(text, s, &err);
}

static void a_tag_finds_its_function(void **state)
{
	struct viofs_source s;

	tree_dir("sys/bus/pci/devices");
	assert_int_equal(find("myfs", &s), -ENODEV);
	says(&err, "This machine has no virtio-fs device");
	add(A, "2", "myfs");
	add(B, "3", "other:fs");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(find(i ? "myfs" : "tag:myfs", &s), 0);
		assert_true(viofs_source_is_function(&s));
		assert_string_equal(s.id, A);
		assert_string_equal(s.function.text, A);
		assert_string_equal(s.tag, "myfs");
	}
	assert_int_equal(find("other:fs", &s), 0);
	assert_string_equal(s.id, B);
	assert_int_equal(find("nofs", &s), -ENODEV);
	says(&err, "Tags found: myfs, other:fs. ");
	assert_int_equal(find("0000:00:4:0", &s), -EINVAL);
	says(&err, "is no PCI address");
	assert_int_equal(find("tag:0000:00:4:0", &s), -ENODEV);
}

static void a_tag_of_two_functions_is_not_chosen_from(void **state)
{
	struct viofs_source s;

	add(A, "2", "myfs");
	add(B, "3", "myfs");
	assert_int_equal(find("myfs", &s), -EMFILE);
	says(&err, "2 devices have the tag \"myfs\": " A ", " B ".");
	/* Tags that are there twice are said once; one within another is another. */
	add(B, "3", "fs");
	add(DISK, "4", "fs");
	assert_int_equal(find("none", &s), -ENODEV);
	says(&err, "Tags found: myfs, fs. ");
}

static void an_address_finds_its_function(void **state)
{
	struct viofs_source s;

	add(A, "2", "myfs");
	model_add_function(DISK, "0x1af4\n", "0x1042\n", "virtio-pci", "1");
	assert_int_equal(find(A, &s), 0);
	assert_string_equal(s.id, A);
	assert_string_equal(s.tag, "myfs");
	assert_int_equal(find("00:04.0", &s), 0);
	assert_string_equal(s.id, A);
	assert_int_equal(find(DISK, &s), -ENOTTY);
	says(&err, "it is 1af4:1042, not 1af4:105a");
	assert_int_equal(find("0000:00:1f.0", &s), -ENODEV);
	/* Without a tag it is found all the same. */
	tree_unlink("sys/fs/virtiofs/2/tag");
	assert_int_equal(find(A, &s), 0);
	assert_string_equal(s.tag, "");
}

static void the_tag_of_a_taken_function_is_in_its_record(void **state)
{
	struct viofs_record record;
	struct viofs_source s;
	int lock;

	add(A, "2", "wrong");
	lock = viofs_record_lock(A, 0, &record, &err);
	assert_true(lock >= 0);
	snprintf(record.tag, sizeof(record.tag), "right");
	assert_int_equal(viofs_record_write(A, lock, &record), 0);
	assert_int_equal(find("right", &s), 0);
	assert_string_equal(s.id, A);
	assert_int_equal(find("wrong", &s), -ENODEV);
	/* Of a daemon that was killed: another device may have come to this address since. */
	close(lock);
	assert_int_equal(find("right", &s), -ENODEV);
	assert_int_equal(find("wrong", &s), 0);
	/* What was left with vfio-pci is the same device. */
	model_add_function(A, "0x1af4\n", "0x105a\n", "vfio-pci", "1");
	assert_int_equal(find("right", &s), 0);
}

/* It may be another by the time that it is opened. */
static void what_was_asked_for_by_tag_has_it(void **state)
{
	struct viofs_source s;

	add(A, "2", "myfs");
	assert_int_equal(find("myfs", &s), 0);
	assert_int_equal(viofs_source_check_tag(&s, "myfs", &err), 0);
	assert_int_equal(viofs_source_check_tag(&s, "other", &err), -ESTALE);
	says(&err, A " has the tag \"other\", not \"myfs\"");
	assert_int_equal(find("tag:myfs", &s), 0);
	assert_int_equal(viofs_source_check_tag(&s, "other", &err), -ESTALE);
	assert_int_equal(find(A, &s), 0);
	assert_int_equal(viofs_source_check_tag(&s, "other", &err), 0);
}

static void a_socket_is_its_whole_path(void **state)
{
	struct viofs_source s, t;
	char text[PATH_MAX];

	assert_int_equal(find("vhost-user:", &s), -EINVAL);
	assert_int_equal(find("vhost-user:/nonexistent", &s), -ENOENT);
	says(&err, "Start the back end first");
	tree_file("a/sock", "");
	tree_file("b/sock", "");
	snprintf(text, sizeof(text), "vhost-user:%s", tree_path("a/../a/sock"));
	assert_int_equal(find(text, &s), 0);
	assert_false(viofs_source_is_function(&s));
	assert_string_equal(s.path, tree_path("a/sock"));
	assert_int_equal(strlen(s.id), strlen("vhost-user-") + 16);
	assert_memory_equal(s.id, "vhost-user-", strlen("vhost-user-"));
	snprintf(text, sizeof(text), "vhost-user:%s", tree_path("a/sock"));
	assert_int_equal(find(text, &t), 0);
	assert_string_equal(t.id, s.id);
	snprintf(text, sizeof(text), "vhost-user:%s", tree_path("b/sock"));
	assert_int_equal(find(text, &t), 0);
	assert_string_not_equal(t.id, s.id);
	/* The name outlives a version: FNV-1a of the path. */
	assert_int_equal(find("vhost-user:/", &s), 0);
	assert_string_equal(s.id, "vhost-user-af63a24c860189fe");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read),
		TEST(a_record_of_others_words_is_read_as_far_as_it_goes),
		TEST(only_one_holds_a_record),
		TEST(left_over_records_of_sockets_are_swept),
		TEST(a_tag_finds_its_function),
		TEST(a_tag_of_two_functions_is_not_chosen_from),
		TEST(an_address_finds_its_function),
		TEST(the_tag_of_a_taken_function_is_in_its_record),
		TEST(what_was_asked_for_by_tag_has_it),
		TEST(a_socket_is_its_whole_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
