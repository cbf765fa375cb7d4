/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The same file system again: which words must agree, and what is asked of the kernel. */
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/second.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#define DIRECTORY 1234

/* The running daemon and the kernel, linked in place of the real ones. */
static struct {
	int ask_rc;
	const char *reply; /* JSON */
	bool gives_none;   /* no mount with it */
	int mount_fd;      /* that came along */
	int setattr_error, put_rc;
	unsigned int puts;
	struct mount_attr attributes;
} world;

static struct viofs_source source;
static struct viofs_options o;
static struct viofs_err err;

int __wrap_viofs_control_ask_fd(const char *path, const char *word, json_t **reply, int *fd_out);
int __wrap_viofs_control_ask_fd(const char *path, const char *word, json_t **reply, int *fd_out)
{
	assert_string_equal(path, "/run/virtiofs-vfio/an-id.sock");
	assert_string_equal(word, "clone");
	*fd_out = -1;
	if (world.ask_rc)
		return world.ask_rc;
	*reply = json_loads(world.reply, 0, NULL);
	assert_non_null(*reply);
	if (!world.gives_none)
		*fd_out = world.mount_fd = eventfd(0, EFD_CLOEXEC);
	return 0;
}

int __wrap_mount_setattr(int fd, const char *path, unsigned int flags, struct mount_attr *a,
			 size_t size);
int __wrap_mount_setattr(int fd, const char *path, unsigned int flags, struct mount_attr *a,
			 size_t size)
{
	assert_int_equal(fd, world.mount_fd);
	world.attributes = *a;
	errno = world.setattr_error;
	return world.setattr_error ? -1 : 0;
}

int __wrap_viofs_mount_put(int mount_fd, int directory);
int __wrap_viofs_mount_put(int mount_fd, int directory)
{
	assert_int_equal(mount_fd, world.mount_fd);
	assert_int_equal(directory, DIRECTORY);
	world.puts++;
	return world.put_rc;
}

static int set_up(void **state)
{
	static char name[] = "the-source";

	memset(&world, 0, sizeof(world));
	memset(&source, 0, sizeof(source));
	memset(&o, 0, sizeof(o));
	memset(&err, 0, sizeof(err));
	strcpy(source.id, "an-id");
	o.source = name;
	world.reply = "{\"options\":[\"poll=irq\",\"workers=2\"],\"super\":0,"
		      "\"mountpoint\":\"/first\",\"supervisor\":77}";
	return 0;
}

static int second(void)
{
	int rc;

	world.mount_fd = -1;
	rc = viofs_second_mount(&source, &o, DIRECTORY, &err);
	/* The mount has its place, or goes. */
	if (world.mount_fd >= 0)
		assert_true(fcntl(world.mount_fd, F_GETFD) < 0);
	return rc;
}

static void it_is_put_with_flags_of_its_own(void **state)
{
	set_up(state);
	o.mount.attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC;
	o.mount.super = VIOFS_SUPER_RO; /* a mount may be so alone */
	assert_int_equal(second(), 1);
	assert_int_equal(world.puts, 1);
	assert_int_equal(world.attributes.attr_set, o.mount.attributes);
	assert_int_equal(world.attributes.propagation, MS_PRIVATE);
	/* What the first one has is not taken over. */
	for (uint64_t a = MOUNT_ATTR_RDONLY; a <= MOUNT_ATTR_NOEXEC; a <<= 1)
		assert_true(world.attributes.attr_clr & a);
	assert_true(world.attributes.attr_clr & MOUNT_ATTR_NODIRATIME);
}

static void nobody_who_could_give_one_is_no_failure(void **state)
{
	static const int rcs[] = { -ECONNREFUSED, -ENOENT, -ECONNRESET };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(rcs); i++) {
		set_up(state);
		world.ask_rc = rcs[i];
		assert_int_equal(second(), 0);
		assert_string_equal(err.text, "");
	}
	set_up(state);
	world.gives_none = true;
	assert_int_equal(second(), 0);
	assert_int_equal(world.puts, 0);
}

static void one_that_does_not_answer_is_a_failure(void **state)
{
	set_up(state);
	world.ask_rc = -ETIMEDOUT;
	assert_int_equal(second(), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "the-source has a daemon already, which does not answer"));
}

static void is_refused_for(const char *word)
{
	world.puts = 0;
	assert_int_equal(second(), -EBUSY);
	assert_int_equal(world.puts, 0);
	assert_non_null(strstr(err.text, "the-source is mounted already, at /first"));
	assert_non_null(strstr(err.text, "process 77"));
	assert_non_null(strstr(err.text, word));
}

static void what_all_mounts_share_must_agree(void **state)
{
	static char same[] = "workers=2", other[] = "workers=3";
	char *words[] = { same, other };

	set_up(state);
	o.words = words;
	o.word_count = 1;
	assert_int_equal(second(), 1);
	o.word_count = 2;
	is_refused_for("not with \"workers=3\"");
	set_up(state);
	o.mount.super = VIOFS_SUPER_SYNC | VIOFS_SUPER_RO;
	is_refused_for("not with \"sync\"");
	set_up(state);
	o.foreground = true;
	is_refused_for("Leave out -f.");
}

static void a_read_only_file_system_has_no_mount_to_write_to(void **state)
{
	set_up(state);
	world.reply = "{\"super\":3,\"mountpoint\":\"/first\",\"supervisor\":77}";
	is_refused_for("not with \"rw\"");
	o.mount.super = VIOFS_SUPER_RO;
	assert_int_equal(second(), 1);
	o.mount.super = VIOFS_SUPER_RO | VIOFS_SUPER_SYNC;
	assert_int_equal(second(), 1);
	o.mount.super = VIOFS_SUPER_RO | VIOFS_SUPER_LAZYTIME;
	is_refused_for("not with \"lazytime\"");
}

static void what_the_kernel_refuses_is_said(void **state)
{
	set_up(state);
	world.setattr_error = EPERM;
	assert_int_equal(second(), -EPERM);
	assert_int_equal(world.puts, 0);
	assert_string_equal(err.text, "the-source can't be mounted a second time: Operation not "
				      "permitted.");
	set_up(state);
	world.put_rc = -EINVAL;
	assert_int_equal(second(), -EINVAL);
	assert_string_equal(err.text, "the-source can't be mounted a second time: Invalid "
				      "argument.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_put_with_flags_of_its_own),
		cmocka_unit_test(nobody_who_could_give_one_is_no_failure),
		cmocka_unit_test(one_that_does_not_answer_is_a_failure),
		cmocka_unit_test(what_all_mounts_share_must_agree),
		cmocka_unit_test(a_read_only_file_system_has_no_mount_to_write_to),
		cmocka_unit_test(what_the_kernel_refuses_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
