/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a file system is mounted, from a mount table of the test's own; and a mount point's walk.
 */
#include "kernel/mount_point.h"
#include "kernel/places.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MINOR 35

/* Linked in place of the C library's: the test's table is that of the process. */
FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode)
{
	return __real_fopen64(strcmp(path, "/proc/self/mountinfo") ? path : tree_path("mountinfo"),
			      mode);
}

/* In the tree "m40" is the root of mount 40, whatever is mounted there in truth. */
static bool is_no_root; /* of it, but a directory within */

int __wrap_viofs_mount_id_of(int fd, struct viofs_mount_id *id);
int __wrap_viofs_mount_id_of(int fd, struct viofs_mount_id *id)
{
	char link[32], path[PATH_MAX] = "";
	const char *name;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	/* Too long a path can't be told: of a directory that is deeper than that. */
	if (readlink(link, path, sizeof(path) - 1) < 0)
		snprintf(path, sizeof(path), "/m40");
	name = strrchr(path, '/');
	*id = (struct viofs_mount_id){ .minor = MINOR, .is_root = !is_no_root };
	return name && sscanf(name, "/m%" SCNu64, &id->mount) == 1 ? 0 : -EINVAL;
}

static char unmounted[4][PATH_MAX];
static int unmount_flags, unmount_error;
static unsigned int unmount_count;

int __wrap_umount2(const char *path, int flags);
int __wrap_umount2(const char *path, int flags)
{
	assert_true(unmount_count < 4);
	if (!realpath(path, unmounted[unmount_count++]))
		assert_int_equal(errno, ENAMETOOLONG);
	unmount_flags = flags;
	errno = unmount_error;
	return unmount_error ? -1 : 0;
}

static unsigned int detached;

/* A thread that was joined is none any more. */
int __wrap_pthread_detach(pthread_t thread);
int __wrap_pthread_detach(pthread_t thread)
{
	detached++;
	return 0;
}

static char real[PATH_MAX];
static struct viofs_err err;
static struct viofs_places places;

static int set_up(void **state)
{
	tree_make();
	memset(&err, 0, sizeof(err));
	memset(&places, 0, sizeof(places));
	unmount_count = 0;
	unmount_error = 0;
	is_no_root = false;
	return 0;
}

static int tear_down(void **state)
{
	viofs_places_free(&places);
	assert_null(places.list);
	assert_int_equal(places.count, 0);
	tree_remove();
	return 0;
}

static void find(const char *table)
{
	tree_file("mountinfo", table);
	assert_int_equal(viofs_places_find(MINOR, &places), 0);
}

static void all_of_the_file_systems_mounts_are_found_in_order(void **state)
{
	find("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	     "40 22 0:35 / /first rw,nosuid shared:5 master:1 - fuse.virtiofs-vfio myfs rw\n"
	     "41 22 0:36 / /other rw - fuse.virtiofs-vfio myfs rw\n"
	     "42 22 8:35 / /disk rw - fuse.virtiofs-vfio myfs rw\n"
	     "43 22 0:35 / /type rw - fuse.sshfs myfs rw\n"
	     "44 40 0:35 /sub /first/in rw - fuse.virtiofs-vfio myfs rw\n");
	assert_int_equal(places.count, 2);
	assert_int_equal(places.list[0].mount, 40);
	assert_int_equal(places.list[1].mount, 44);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(places.list[i].minor, MINOR);
		assert_int_equal(places.list[i].root, -1);
		assert_string_equal(places.list[i].path, i ? "/first/in" : "/first");
	}
}

static void what_the_kernel_has_written_otherwise_is_read_back(void **state)
{
	find("40 22 0:35 / /a\\040b\\011\\012\\134 rw - fuse.virtiofs-vfio myfs rw\n"
	     "41 22 0:35 / /a\\04 rw - fuse.virtiofs-vfio myfs rw\n"
	     "42 22 0:35 / /a\\x rw - fuse.virtiofs-vfio myfs rw\n"
	     "43 22 0:35 / /a\\101 rw - fuse.virtiofs-vfio myfs rw\n");
	assert_int_equal(places.count, 4);
	assert_string_equal(places.list[0].path, "/a b\t\n\\");
	assert_string_equal(places.list[1].path, "/a\\04");
	assert_string_equal(places.list[2].path, "/a\\x");
	assert_string_equal(places.list[3].path, "/aA");
}

static void what_is_no_line_of_the_table_is_passed_over(void **state)
{
	find("\nx - fuse.virtiofs-vfio y\n"
	     "40 22 0x35 / /m rw - fuse.virtiofs-vfio myfs rw\n");
	assert_int_equal(places.count, 0);
	tree_unlink("mountinfo");
	assert_int_equal(viofs_places_find(MINOR, &places), -ENOENT);
}

/* Another mount has the place, or none, or there is no such place. */
static void a_mount_that_is_not_there_is_not_opened(void **state)
{
	struct viofs_mount_place place = { .mount = 40, .minor = MINOR, .root = -1 };
	char path[PATH_MAX];
	static const char *const paths[] = { "/", "", "/nowhere/at-all" };

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s", paths[i]);
		place.path = path;
		assert_int_equal(viofs_mount_place_open(&place), -ESTALE);
		assert_int_equal(viofs_mount_place_unmount(&place, 0), -ESTALE);
	}
	tree_dir("m");
	snprintf(path, sizeof(path), "%s", tree_path("m"));
	assert_int_equal(viofs_mount_place_open(&place), -ESTALE);
	assert_int_equal(viofs_mount_place_unmount(&place, 0), -ESTALE);
}

static void is_at(int fd, const char *relative)
{
	char link[32], path[PATH_MAX] = "", expected[PATH_MAX];

	assert_true(fd >= 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	assert_true(readlink(link, path, sizeof(path) - 1) > 0);
	assert_non_null(realpath(tree_path(relative), expected));
	assert_string_equal(path, expected);
	close(fd);
}

static void a_mount_is_known_by_its_id_and_minor(void **state)
{
	char path[PATH_MAX], expected[PATH_MAX];
	struct viofs_mount_place place = { .mount = 40, .minor = MINOR, .path = path, .root = -1 };

	tree_dir("a/m40");
	snprintf(path, sizeof(path), "%s", tree_path("a/m40"));
	is_at(viofs_mount_place_open(&place), "a/m40");
	assert_int_equal(viofs_mount_place_unmount(&place, MNT_DETACH), 0);
	assert_int_equal(unmount_count, 1);
	assert_int_equal(unmount_flags, MNT_DETACH | UMOUNT_NOFOLLOW);
	assert_non_null(realpath(path, expected));
	assert_string_equal(unmounted[0], expected);
	unmount_error = EBUSY;
	assert_int_equal(viofs_mount_place_unmount(&place, 0), -EBUSY);
	is_no_root = true;
	assert_int_equal(viofs_mount_place_open(&place), -ESTALE);
	is_no_root = false;
	place.mount = 41;
	assert_int_equal(viofs_mount_place_open(&place), -ESTALE);
	assert_int_equal(viofs_mount_place_unmount(&place, 0), -ESTALE);
	place.mount = 40;
	place.minor = MINOR + 1;
	assert_int_equal(viofs_mount_place_open(&place), -ESTALE);
	assert_int_equal(unmount_count, 2);
}

#define LEVELS 40
#define NAME_LEN 250

/* Directories in one another under the test's own, the last one "m40"; or takes them away. */
static void deep(char *path, size_t size, bool make)
{
	int fds[LEVELS + 1];
	char name[NAME_LEN + 1] = "";

	memset(name, 'x', NAME_LEN);
	fds[0] = open(tree_path("."), O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, size, "%s", tree_path(""));
	for (int i = 0; i < LEVELS; i++) {
		const char *its = i < LEVELS - 1 ? name : "m40";

		assert_true(!make || !mkdirat(fds[i], its, 0700));
		fds[i + 1] = openat(fds[i], its, O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert_true(fds[i + 1] >= 0);
		snprintf(path + strlen(path), size - strlen(path), "%s%s", i ? "/" : "", its);
	}
	for (int i = LEVELS; i >= 0; i--) {
		close(fds[i]);
		if (!make && i)
			assert_int_equal(
				unlinkat(fds[i - 1], i < LEVELS ? name : "m40", AT_REMOVEDIR), 0);
	}
}

/* Whoever may rename a directory above it can move a mount point that far down. */
static void a_mount_is_reached_however_deep_it_is(void **state)
{
	char path[LEVELS * (NAME_LEN + 1) + 100], table[sizeof(path) + 100];
	int fd;

	deep(path, sizeof(path), true);
	snprintf(table, sizeof(table), "40 22 0:35 / %s rw - fuse.virtiofs-vfio myfs rw\n", path);
	find(table);
	assert_int_equal(places.count, 1);
	assert_string_equal(places.list[0].path, path);
	fd = viofs_mount_place_open(&places.list[0]);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(viofs_mount_place_unmount(&places.list[0], 0), 0);
	assert_int_equal(unmount_count, 1);
	deep(path, sizeof(path), false);
}

/* A name that no directory can have. */
static void a_name_that_is_too_long_is_nowhere(void **state)
{
	static char path[3 * PATH_MAX];
	struct viofs_mount_place place = { .mount = 40, .minor = MINOR, .path = path, .root = -1 };

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	assert_int_equal(viofs_mount_place_open(&place), -ESTALE);
	path[2 * PATH_MAX] = '/';
	assert_int_equal(viofs_mount_place_open(&place), -ESTALE);
	assert_int_equal(viofs_mount_place_unmount(&place, 0), -ESTALE);
	assert_int_equal(unmount_count, 0);
}

/* The table of "m40", "m40/m41" in it, and "m42"; the one inside comes first. */
static void find_three(void)
{
	char table[4 * PATH_MAX];

	tree_dir("m40/m41");
	tree_dir("m42");
	snprintf(table, sizeof(table),
		 "41 40 0:35 / %s rw - fuse.virtiofs-vfio myfs rw\n"
		 "40 22 0:35 / %s rw - fuse.virtiofs-vfio myfs rw\n"
		 "42 22 0:35 / %s rw - fuse.virtiofs-vfio myfs rw\n",
		 tree_path("m40/m41"), tree_path("m40"), tree_path("m42"));
	find(table);
	assert_int_equal(places.count, 3);
}

static void those_within_others_are_held_last(void **state)
{
	static const char *const order[][3] = { { "m40" },
						{ "m40", "m42" },
						{ "m40/m41", "m40", "m42" } };

	for (unsigned int enough = 1; enough <= 3; enough++) {
		struct viofs_holding *h;

		find_three();
		h = viofs_places_hold(&places, enough, 30000);
		assert_non_null(h);
		/* They are the other's now. */
		assert_null(places.list);
		assert_int_equal(places.count, 0);
		for (unsigned int i = 0; i < enough; i++)
			is_at(viofs_holding_take(h), order[enough - 1][i]);
		assert_int_equal(viofs_holding_take(h), -ESTALE);
		viofs_holding_free(h);
		assert_int_equal(detached, 0);
	}
}

/* The lowest number that a descriptor could have. */
static int next_fd(void)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	close(fd);
	return fd;
}

/* A descriptor keeps the mount busy. */
static void what_nobody_takes_is_let_go(void **state)
{
	int before = next_fd();
	struct viofs_holding *h;

	find_three();
	h = viofs_places_hold(&places, UINT_MAX, 30000);
	assert_non_null(h);
	viofs_holding_detach(h, 30000);
	viofs_holding_free(h);
	assert_int_equal(next_fd(), before);
}

static void what_is_held_is_detached_from_the_last_one_on(void **state)
{
	static const char *const order[] = { "m42", "m40", "m40/m41" };
	struct viofs_holding *h;
	char expected[PATH_MAX];

	find_three();
	h = viofs_places_hold(&places, UINT_MAX, 30000);
	assert_non_null(h);
	viofs_holding_detach(h, 10);
	assert_int_equal(unmount_count, 3);
	assert_int_equal(unmount_flags, MNT_DETACH);
	for (int i = 0; i < 3; i++) {
		assert_non_null(realpath(tree_path(order[i]), expected));
		assert_string_equal(unmounted[i], expected);
	}
	viofs_holding_free(h);
}

static void without_places_none_is_held(void **state)
{
	struct viofs_holding *h = viofs_places_hold(&places, 1, 1000);

	assert_non_null(h);
	assert_int_equal(viofs_holding_take(h), -ESTALE);
	viofs_holding_detach(h, 10);
	viofs_holding_free(h);
	viofs_holding_free(NULL);
	viofs_holding_detach(NULL, 10);
	assert_int_equal(viofs_holding_take(NULL), -ENOMEM);
}

static void is_opened_as(const char *path, const char *relative)
{
	char expected[PATH_MAX];
	int fd = viofs_mount_point_open(path, real, sizeof(real), &err);

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_non_null(realpath(tree_path(relative), expected));
	assert_string_equal(real, expected);
	close(fd);
}

static void is_refused(const char *path, int rc, const char *words)
{
	assert_int_equal(viofs_mount_point_open(path, real, sizeof(real), &err), rc);
	assert_non_null(strstr(err.text, words));
}

static void a_directory_is_opened_and_its_path_told(void **state)
{
	tree_dir("a/b");
	is_opened_as(tree_path("a/b"), "a/b");
	is_opened_as(tree_path("a/b/"), "a/b");
	is_opened_as(tree_path("a/../a//b"), "a/b");
}

static void what_is_no_directory_to_mount_on_is_said(void **state)
{
	char longer[PATH_MAX + 10];

	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[PATH_MAX] = '\0';
	tree_file("file", "");
	is_refused(tree_path("file"), -ENOTDIR, "is not a directory");
	is_refused(tree_path("missing"), -ENOENT, "make the directory first");
	is_refused(longer, -ENAMETOOLONG, "mount point /xxx");
	is_refused("/proc", -EBUSY, "is a mount point already");
}

static void roots_links_are_followed_and_nobody_elses(void **state)
{
	char link[PATH_MAX];

	if (getuid()) {
		print_message("not root: every link is somebody else's\n");
		tree_dir("a/b");
		tree_link("l", tree_path("a"));
		is_refused(tree_path("l/b"), -EPERM, "a symbolic link on the way is not root's");
		return;
	}
	tree_dir("a/b");
	tree_link("absolute", tree_path("a"));
	tree_link("relative", "a/b");
	tree_link("a/up", "../relative");
	tree_link("chain", "absolute/up");
	is_opened_as(tree_path("absolute/b"), "a/b");
	is_opened_as(tree_path("relative"), "a/b");
	is_opened_as(tree_path("a/up"), "a/b");
	is_opened_as(tree_path("chain"), "a/b");
	tree_link("loop", "loop");
	is_refused(tree_path("loop"), -ELOOP, "symbolic links");
	tree_link("gone", "nowhere");
	is_refused(tree_path("gone"), -ENOENT, "make the directory first");
	snprintf(link, sizeof(link), "%s", tree_path("absolute"));
	assert_int_equal(lchown(link, 12345, 12345), 0);
	is_refused(tree_path("absolute/b"), -EPERM, "a symbolic link on the way is not root's");
	is_refused(tree_path("chain"), -EPERM, "a symbolic link on the way is not root's");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_of_the_file_systems_mounts_are_found_in_order),
		TEST(what_the_kernel_has_written_otherwise_is_read_back),
		TEST(what_is_no_line_of_the_table_is_passed_over),
		TEST(a_mount_that_is_not_there_is_not_opened),
		TEST(a_mount_is_known_by_its_id_and_minor),
		TEST(a_mount_is_reached_however_deep_it_is),
		TEST(a_name_that_is_too_long_is_nowhere),
		TEST(those_within_others_are_held_last),
		TEST(what_nobody_takes_is_let_go),
		TEST(what_is_held_is_detached_from_the_last_one_on),
		TEST(without_places_none_is_held),
		TEST(a_directory_is_opened_and_its_path_told),
		TEST(what_is_no_directory_to_mount_on_is_said),
		TEST(roots_links_are_followed_and_nobody_elses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
