/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking a function and giving it back: never from under the kernel's mount, and whole again
 * whenever the one who took it was killed. */
#include "base/run.h"
#include "attach/hold.h"
#include "attach/usage.h"
#include "model_sysfs.h"
#include "pci/sysfs.h"
#include "says.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FS "0000:00:04.0"
#define ROOT "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"

static struct viofs_pci_function function;
static struct viofs_hold hold;
static struct viofs_err err;

static void read_function(void)
{
	struct viofs_pci_address a = model_address(FS);

	assert_int_equal(viofs_pci_function_read(&a, &function, &err), 0);
}

static int set_up(void **state)
{
	err.text[0] = 0;
	model_machine_start();
	model_add_function(FS, "0x1af4\n", "0x105a\n", "virtio-pci", "1");
	tree_link("sys/fs/virtiofs/2/device", "../../../devices/pci0000:00/" FS "/virtio2");
	tree_file("sys/fs/virtiofs/2/tag", "myfs\n");
	tree_file("proc/1/mountinfo", ROOT);
	tree_link("proc/1/ns/mnt", "mnt:[4026531832]");
	read_function();
	return 0;
}

static int tear_down(void **state)
{
	model_machine_end();
	return 0;
}

static int take(void)
{
	return viofs_hold_take(&function, 0, &hold, &err);
}

static void must(int rc)
{
	if (rc)
		fail_msg("%d: %s", rc, err.text);
}

static void is_untouched(void)
{
	assert_string_equal(model_driver(FS), "virtio-pci");
	assert_string_equal(model_override(FS), "(null)\n");
	assert_false(tree_exists("run/" FS));
}

static void it_is_taken_and_given_back(void **state)
{
	must(take());
	assert_string_equal(model_driver(FS), "vfio-pci");
	assert_non_null(strstr(tree_read("run/" FS), "former=virtio-pci\n"));
	must(viofs_hold_release(&hold, &err));
	is_untouched();
}

/* A program that uses the library may have closed its standard input. */
static void the_lock_may_be_descriptor_0(void **state)
{
	int input = dup(0);

	assert_true(input > 0);
	close(0);
	must(viofs_hold_take_name("vhost-user-x", "/x", 0, &hold, &err));
	assert_int_equal(hold.lock_fd, 0);
	must(viofs_hold_release(&hold, &err));
	assert_int_equal(dup2(input, 0), 0);
	close(input);
	assert_false(tree_exists("run/vhost-user-x"));
}

/* Of a daemon that was killed, or of anybody: such a mount takes no rights. */
static void a_mount_of_our_type_hides_no_mount_of_the_kernels(void **state)
{
	tree_file("proc/1/mountinfo", ROOT "40 22 0:35 / /dead rw - fuse.virtiofs-vfio myfs rw\n"
					   "41 22 0:36 / /live rw - virtiofs myfs rw\n");
	assert_int_equal(take(), -EBUSY);
	says(&err, "at /live");
	is_untouched();
	tree_file("proc/1/mountinfo", ROOT "40 22 0:35 / /dead rw - fuse.virtiofs-vfio myfs rw\n");
	tree_file("proc/2/mountinfo", ROOT "41 22 0:36 / /deep rw - virtiofs myfs rw\n");
	tree_link("proc/2/ns/mnt", "mnt:[4026532000]");
	assert_int_equal(take(), -EBUSY);
	says(&err, "at /deep (seen by process 2)");
	is_untouched();
}

static void another_tag_is_no_hindrance(void **state)
{
	tree_file("proc/1/mountinfo", ROOT "41 22 0:36 / /live rw - virtiofs other rw\n");
	must(take());
	must(viofs_hold_release(&hold, &err));
}

/* No sysfs of the driver's (before Linux 6.9), and configuration space has no answer. */
static void with_an_unknown_tag_any_mount_of_the_kernels_is_one_too_many(void **state)
{
	tree_unlink("sys/fs/virtiofs/2/tag");
	tree_unlink("sys/fs/virtiofs/2/device");
	tree_file("proc/1/mountinfo", ROOT "41 22 0:36 / /live rw - virtiofs other rw\n");
	assert_int_equal(take(), -EBUSY);
	says(&err, "at /live");
	says(&err, "may be of " FS);
	is_untouched();
	tree_file("proc/1/mountinfo", ROOT);
	must(take());
	must(viofs_hold_release(&hold, &err));
}

static void where_mounts_cannot_be_seen_nothing_is_taken(void **state)
{
	viofs_pci_set_proc_root(tree_path("nowhere"));
	assert_int_equal(take(), -ENOENT);
	says(&err, "can't be seen in /proc");
	is_untouched();
}

static void what_is_bound_for_good_is_left_so(void **state)
{
	must(take());
	must(viofs_hold_keep(&hold, &err));
	read_function();
	must(take());
	viofs_hold_leave(&hold);
	assert_string_equal(model_driver(FS), "vfio-pci");
	must(take());
	must(viofs_hold_release(&hold, &err));
	assert_string_equal(model_driver(FS), "vfio-pci");
	must(viofs_hold_return(&function, &err));
	is_untouched();
}

/* Its lock is closed: another file may have the descriptor's number. */
static void who_has_bound_it_for_good_holds_nothing_any_more(void **state)
{
	int lock, other;

	must(take());
	lock = hold.lock_fd;
	must(viofs_hold_keep(&hold, &err));
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(other, lock);
	must(viofs_hold_release(&hold, &err));
	assert_int_equal(fcntl(other, F_GETFD), FD_CLOEXEC);
	close(other);
	assert_string_equal(model_driver(FS), "vfio-pci");
	must(viofs_hold_return(&function, &err));
}

static void what_others_have_bound_is_not_ours_to_return(void **state)
{
	assert_int_equal(viofs_hold_return(&function, &err), -EALREADY);
	says(&err, "bound to vfio-pci but to virtio-pci");
	model_set_driver(FS, "vfio-pci");
	assert_int_equal(viofs_hold_return(&function, &err), -EALREADY);
	says(&err, "by somebody else");
	assert_string_equal(model_driver(FS), "vfio-pci");
	assert_false(tree_exists("run"));
}

/* For want of descriptors, say: that is no reason to forget which driver it had. */
static void what_cannot_be_read_can_be_returned_later(void **state)
{
	must(take());
	must(viofs_hold_keep(&hold, &err));
	tree_file("sys/bus/pci/devices/" FS "/vendor", "");
	assert_int_equal(viofs_hold_return(&function, &err), -EINVAL);
	tree_file("sys/bus/pci/devices/" FS "/vendor", "0x1af4\n");
	must(viofs_hold_return(&function, &err));
	is_untouched();
}

/* Its driver is another module's, say, which was taken away meanwhile. */
static void what_cannot_be_given_back_is_told_and_can_be_later(void **state)
{
	must(take());
	assert_int_equal(rename(tree_path("sys/bus/pci/drivers/virtio-pci"), tree_path("away")), 0);
	assert_true(viofs_hold_release(&hold, &err) < 0);
	says(&err, "virtio-pci");
	assert_true(tree_exists("run/" FS));
	assert_int_equal(rename(tree_path("away"), tree_path("sys/bus/pci/drivers/virtio-pci")), 0);
	read_function();
	must(viofs_hold_return(&function, &err));
	is_untouched();
}

/* In a child: take it, and be killed before the write that is the @at-th. Return: was it? */
static bool take_and_be_killed(unsigned int at)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		model_kernel.killed_at = at;
		if (!take())
			viofs_hold_release(&hold, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status) == 0;
}

/* A look learns the tag of a function that vfio-pci has; `unbind TAG` has to begin with one. */
static void who_is_killed_at_any_moment_leaves_what_can_be_undone(void **state)
{
	unsigned int at = 1;

	for (; take_and_be_killed(at); at++) {
		read_function();
		if (!function.driver[0] || !strcmp(function.driver, "vfio-pci")) {
			must(take());
			viofs_hold_leave(&hold);
			read_function();
		}
		must(viofs_hold_return(&function, &err));
		is_untouched();
		assert_false(tree_exists("run"));
	}
	/* override, unbind, probe; override, unbind, bind */
	assert_int_equal(at, 7);
}

static void the_next_one_gives_it_back_too(void **state)
{
	for (unsigned int at = 1; take_and_be_killed(at); at++) {
		read_function();
		must(take());
		must(viofs_hold_release(&hold, &err));
		is_untouched();
	}
}

static void a_record_reads_as_it_was_written(void **state)
{
	struct viofs_record r = { .former = "virtio-pci",
				  .by_admin = true,
				  .pid = 77,
				  .minor = 35,
				  .tag = "a=b",
				  .mountpoint = "/a\nb" };
	struct viofs_record seen;
	int lock = viofs_record_lock("it", 0, &seen, &err);

	assert_true(lock >= 0);
	assert_false(seen.known);
	assert_int_equal(viofs_record_write("it", lock, &r), 0);
	assert_int_equal(viofs_record_read("it", &seen), 0);
	assert_true(seen.known);
	assert_string_equal(seen.former, r.former);
	assert_true(seen.by_admin);
	assert_int_equal(seen.pid, 77);
	assert_int_equal(seen.minor, 35);
	assert_string_equal(seen.tag, r.tag);
	assert_string_equal(seen.mountpoint, r.mountpoint);
	r.by_admin = false;
	assert_int_equal(viofs_record_write("it", lock, &r), 0);
	assert_int_equal(viofs_record_read("it", &seen), 0);
	assert_false(seen.by_admin);
	viofs_record_remove("it", lock);
	assert_int_equal(viofs_record_read("it", &seen), -ENOENT);
}

/* Of sockets there is nothing to know once nobody holds them; of devices there is. */
static void only_records_of_sockets_that_nobody_holds_are_swept(void **state)
{
	struct viofs_record r;
	int held = viofs_record_lock("vhost-user-1", 0, &r, &err);

	tree_file("run/vhost-user-2", "pid=1\n");
	tree_file("run/vhost-user-2.sock", "");
	tree_file("run/" FS, "former=virtio-pci\n");
	viofs_record_sweep();
	assert_true(tree_exists("run/vhost-user-1"));
	assert_false(tree_exists("run/vhost-user-2"));
	assert_false(tree_exists("run/vhost-user-2.sock"));
	assert_true(tree_exists("run/" FS));
	viofs_record_remove("vhost-user-1", held);
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void state_says(enum viofs_holder holder, const char *words)
{
	struct viofs_usage s;

	assert_int_equal(viofs_usage_read(FS, &s), 0);
	assert_int_equal(s.holder, holder);
	viofs_usage_say(&s, FS, 0, &err);
	says(&err, words);
}

/* A process that ended has the socket for a moment: what its io_uring waited for goes later. */
static void a_dead_listener_is_none(void **state)
{
	int socket;
	pid_t pid;

	must(take());
	must(viofs_hold_note(&hold, "myfs", "/m", 12345));
	socket = listen_at(tree_path("run/" FS ".sock"));
	state_says(VIOFS_HOLDER_ALIVE, "in use by another");
	pid = fork();
	if (!pid)
		_exit(listen(socket, 1) != 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	state_says(VIOFS_HOLDER_WORKER, "supervisor (pid 12345) was killed");
	close(socket);
	must(viofs_hold_release(&hold, &err));
}

/* All that tell of a device say the same, whatever has become of its daemon and its mount. */
static void who_has_it_is_told_by_lock_socket_and_mount(void **state)
{
	struct viofs_usage s;
	char own[64];
	int socket;

	assert_int_equal(viofs_usage_read(FS, &s), -ENOENT);
	must(take());
	must(viofs_hold_note(&hold, "myfs", "/first", 12345));
	socket = listen_at(tree_path("run/" FS ".sock"));
	state_says(VIOFS_HOLDER_ALIVE, "in use by another virtiofs-vfio (pid 12345).");
	must(viofs_hold_note_mount(&hold, 35));
	/* somebody else's, at that place */
	tree_file("proc/1/mountinfo", ROOT "41 22 0:36 / /first rw - fuse.virtiofs-vfio myfs rw\n");
	state_says(VIOFS_HOLDER_ALIVE, "mount at /first is gone (umount -l?)");
	tree_file("proc/1/mountinfo", ROOT "40 22 0:35 / /m rw - fuse.virtiofs-vfio myfs rw\n");
	state_says(VIOFS_HOLDER_ALIVE,
		   "at /m in the mount namespace of process 1. Unmount it there");
	snprintf(own, sizeof(own), "proc/%d/mountinfo", (int)getpid());
	tree_file(own, ROOT "40 22 0:35 / /m rw - fuse.virtiofs-vfio myfs rw\n");
	snprintf(own, sizeof(own), "proc/%d/ns/mnt", (int)getpid());
	tree_link(own, "mnt:[4026532000]");
	state_says(VIOFS_HOLDER_ALIVE, "in use by another virtiofs-vfio (pid 12345, at /m).");
	tree_unlink(own);
	close(socket);
	state_says(VIOFS_HOLDER_WORKER, "supervisor (pid 12345) was killed");
	says(&err, "ends with umount /m");
	assert_int_equal(viofs_hold_return(&function, &err), -EBUSY);
	says(&err, "supervisor (pid 12345) was killed");
	tree_file("proc/1/mountinfo", ROOT);
	state_says(VIOFS_HOLDER_WORKER, "when the last file that is open there is closed");
	close(hold.lock_fd);
	state_says(VIOFS_HOLDER_NONE, "Nobody uses");
	/* The next one is not taken for that worker before it has a socket of its own. */
	must(take());
	state_says(VIOFS_HOLDER_ALIVE, "in use by another virtiofs-vfio");
	viofs_hold_leave(&hold);
	must(viofs_hold_return(&function, &err));
	is_untouched();
}

static bool no_sockets;

/* Linked in place of the C library's. */
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
	if (!no_sockets)
		return __real_socket(domain, type, protocol);
	errno = EMFILE;
	return -1;
}

/* What can't be asked is not dead. */
static void a_supervisor_that_cannot_be_asked_is_taken_for_alive(void **state)
{
	int socket;

	must(take());
	must(viofs_hold_note(&hold, "myfs", "/m", 12345));
	state_says(VIOFS_HOLDER_ALIVE, "in use by another"); /* no socket yet */
	socket = listen_at(tree_path("run/" FS ".sock"));
	close(socket);
	state_says(VIOFS_HOLDER_WORKER, "was killed");
	no_sockets = true;
	state_says(VIOFS_HOLDER_ALIVE, "in use by another");
	no_sockets = false;
	must(viofs_hold_release(&hold, &err));
}

/* What was to be loaded, by modprobe(8), which is asked for by its path and needs no more. */
static char loaded[4][64];
static unsigned int loaded_count;

int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[]);
int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	assert_true(path[0] == '/' && loaded_count < 4);
	assert_string_equal(argv[1], "-q");
	assert_null(argv[3]);
	assert_true(!strncmp(env[0], "PATH=/", 6) && !env[1]);
	snprintf(loaded[loaded_count++], sizeof(loaded[0]), "%s", argv[2]);
	return ENOENT;
}

static void modules_that_are_not_there_are_loaded(void **state)
{
	loaded_count = 0;
	must(take());
	must(viofs_hold_release(&hold, &err));
	assert_int_equal(loaded_count, 0);
	assert_int_equal(rmdir(tree_path("sys/module/vfio_iommu_type1")), 0);
	must(take());
	must(viofs_hold_release(&hold, &err));
	assert_int_equal(loaded_count, 1);
	assert_string_equal(loaded[0], "vfio_iommu_type1");
	assert_int_equal(rename(tree_path("sys/bus/pci/drivers/vfio-pci"), tree_path("away")), 0);
	assert_int_equal(take(), -ENODEV);
	says(&err, "vfio-pci");
	assert_int_equal(loaded_count, 3);
	assert_string_equal(loaded[1], "vfio-pci");
	assert_string_equal(loaded[2], "vfio_iommu_type1");
	is_untouched();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_taken_and_given_back),
		TEST(the_lock_may_be_descriptor_0),
		TEST(a_mount_of_our_type_hides_no_mount_of_the_kernels),
		TEST(modules_that_are_not_there_are_loaded),
		TEST(another_tag_is_no_hindrance),
		TEST(with_an_unknown_tag_any_mount_of_the_kernels_is_one_too_many),
		TEST(where_mounts_cannot_be_seen_nothing_is_taken),
		TEST(what_is_bound_for_good_is_left_so),
		TEST(who_has_bound_it_for_good_holds_nothing_any_more),
		TEST(what_others_have_bound_is_not_ours_to_return),
		TEST(what_cannot_be_read_can_be_returned_later),
		TEST(what_cannot_be_given_back_is_told_and_can_be_later),
		TEST(who_is_killed_at_any_moment_leaves_what_can_be_undone),
		TEST(the_next_one_gives_it_back_too),
		TEST(a_record_reads_as_it_was_written),
		TEST(only_records_of_sockets_that_nobody_holds_are_swept),
		TEST(a_dead_listener_is_none),
		TEST(a_supervisor_that_cannot_be_asked_is_taken_for_alive),
		TEST(who_has_it_is_told_by_lock_socket_and_mount),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
