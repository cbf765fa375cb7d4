/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounting step by step, on a kernel of the test's own: no rights are needed. */
#include "base/util.h"
#include "kernel/mount.h"
#include "kernel/places.h"
#include "kernel/mount_point.h"
#include "model_backend.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#define DIRECTORY 1234
#define MINOR 35

/* The calls, linked in place of the C library's, and what each is to fail with. */
static struct {
	char calls[1024]; /* "fsopen fuse" and the like, in brackets */
	int fsopen, create, fsmount, move, id;
	const char *refuse;  /* the key that fsconfig() does not take */
	const char *words;   /* the kernel's own about it */
	const char *fusectl; /* its directory of connections; NULL: none */
	int mount_fd;        /* of the last mount */
	unsigned int attributes;
	bool mounted;      /* its root can be opened */
	int unmount, sync; /* errno; 0 */
	unsigned int unmounts, syncs;
} kernel;

static struct viofs_err err;
static struct viofs_mount *m;
static int fuse[2]; /* what is opened as /dev/fuse */

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t len = strlen(kernel.calls);
	va_list ap;

	va_start(ap, format);
	vsnprintf(kernel.calls + len, sizeof(kernel.calls) - len, format, ap);
	va_end(ap);
}

static int fail_with(int number)
{
	errno = number;
	return -1;
}

/* A descriptor that reads as the kernel's words do: one message, then nothing. */
static int new_context(void)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	if (kernel.words)
		assert_true(write(ends[1], kernel.words, strlen(kernel.words)) > 0);
	close(ends[1]);
	return ends[0];
}

int __wrap_fsopen(const char *type, unsigned int flags);
int __wrap_fsopen(const char *type, unsigned int flags)
{
	assert_int_equal(flags, FSOPEN_CLOEXEC);
	note("[%s]", type);
	if (!strcmp(type, "fusectl"))
		return fail_with(EPERM);
	return kernel.fsopen ? fail_with(kernel.fsopen) : new_context();
}

int __wrap_fsconfig(int fd, unsigned int command, const char *key, const void *value, int aux);
int __wrap_fsconfig(int fd, unsigned int command, const char *key, const void *value, int aux)
{
	if (command == FSCONFIG_CMD_CREATE) {
		note("[create]");
		return kernel.create ? fail_with(kernel.create) : 0;
	}
	if (command == FSCONFIG_SET_STRING)
		note("[%s=%s]", key, (const char *)value);
	else
		note("[%s]", key);
	return kernel.refuse && !strcmp(key, kernel.refuse) ? fail_with(EINVAL) : 0;
}

int __wrap_fsmount(int fd, unsigned int flags, unsigned int attributes);
int __wrap_fsmount(int fd, unsigned int flags, unsigned int attributes)
{
	note("[mount]");
	kernel.attributes = attributes;
	if (kernel.fsmount)
		return fail_with(kernel.fsmount);
	kernel.mount_fd = eventfd(0, EFD_CLOEXEC);
	return kernel.mount_fd;
}

int __wrap_move_mount(int from, const char *from_path, int to, const char *to_path,
		      unsigned int flags);
int __wrap_move_mount(int from, const char *from_path, int to, const char *to_path,
		      unsigned int flags)
{
	note("[put]");
	assert_int_equal(from, kernel.mount_fd);
	assert_int_equal(to, DIRECTORY);
	assert_string_equal(from_path, "");
	assert_string_equal(to_path, "");
	assert_int_equal(flags, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	return kernel.move ? fail_with(kernel.move) : 0;
}

int __wrap_viofs_mount_id_of(int fd, struct viofs_mount_id *id);
int __wrap_viofs_mount_id_of(int fd, struct viofs_mount_id *id)
{
	assert_int_equal(fd, kernel.mount_fd);
	if (!kernel.id)
		*id = (struct viofs_mount_id){ .mount = 99, .minor = MINOR, .is_root = true };
	return kernel.id;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	if (!strcmp(path, "/dev/fuse")) {
		assert_int_equal(flags, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		return fuse[0] < 0 ? fail_with(ENODEV) : dup(fuse[0]);
	}
	if (kernel.fusectl && !strcmp(path, "/sys/fs/fuse/connections"))
		return __real_open64(kernel.fusectl, flags);
	if (strcmp(path, "/sys/fs/fuse/connections") != 0) {
		va_list ap;
		int mode;

		va_start(ap, flags);
		mode = flags & O_CREAT ? va_arg(ap, int) : 0;
		va_end(ap);
		return __real_open64(path, flags, mode);
	}
	return fail_with(ENOENT);
}

static int set_up(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	memset(&err, 0, sizeof(err));
	assert_int_equal(pipe2(fuse, O_CLOEXEC), 0);
	m = NULL;
	assert_int_equal(viofs_mount_new(&m, &err), 0);
	return 0;
}

static int tear_down(void **state)
{
	viofs_mount_close(m);
	close(fuse[0]);
	close(fuse[1]);
	return 0;
}

static int start(uint32_t max_read, const struct viofs_mount_options *options)
{
	static const struct viofs_mount_options none;
	const struct viofs_mount_config c = { .source = "myfs",
					      .directory = DIRECTORY,
					      .options = options ? options : &none,
					      .max_read = max_read };

	kernel.calls[0] = err.text[0] = '\0';
	return viofs_mount_start(m, &c, &err);
}

static void has(const char *call)
{
	if (!strstr(kernel.calls, call))
		fail_msg("no %s in %s", call, kernel.calls);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void it_is_configured_then_made_then_put(void **state)
{
	char fd[32];

	assert_int_equal(start(0, NULL), 0);
	snprintf(fd, sizeof(fd), "[fd=%d]", viofs_mount_fd(m));
	has("[fuse][source=myfs]");
	has("[subtype=virtiofs-vfio]");
	has(fd);
	has("[rootmode=40000]");
	has("[allow_other]");
	has("[default_permissions]");
	has("[create][mount]");
	assert_string_equal(kernel.calls + strlen(kernel.calls) - strlen("[put]"), "[put]");
	assert_null(strstr(kernel.calls, "max_read"));
	assert_int_equal(viofs_mount_minor(m), MINOR);
	assert_int_equal(viofs_mount_control_fd(m), -1);
	assert_int_equal(kernel.attributes, 0);
	/* The mount has a place: it needs no descriptor. */
	assert_false(is_open(kernel.mount_fd));
}

static void the_users_words_reach_the_kernel(void **state)
{
	char selinux[] = "context=system_u:x", none[] = "word";
	const struct viofs_mount_options o = { .attributes = MOUNT_ATTR_NOSUID,
					       .super = VIOFS_SUPER_RO | VIOFS_SUPER_LAZYTIME,
					       .labels = { none, selinux } };

	assert_int_equal(start(4096, &o), 0);
	has("[max_read=4096]");
	has("[ro][lazytime]");
	has("[context=system_u:x]");
	assert_null(strstr(kernel.calls, "word"));
	assert_null(strstr(kernel.calls, "sync"));
	assert_int_equal(kernel.attributes, MOUNT_ATTR_NOSUID);
}

static void each_setting_that_is_refused_ends_it(void **state)
{
	static const char *const keys[] = { "source",   "subtype",     "fd",
					    "rootmode", "user_id",     "group_id",
					    "max_read", "allow_other", "default_permissions",
					    "sync",     "fscontext" };
	char label[] = "fscontext=a";
	const struct viofs_mount_options o = { .super = VIOFS_SUPER_SYNC, .labels = { label } };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(keys); i++) {
		const char *last;

		kernel.refuse = keys[i];
		assert_int_equal(start(4096, &o), -EINVAL);
		last = strrchr(kernel.calls, '[');
		assert_memory_equal(last + 1, keys[i], strlen(keys[i]));
		assert_string_equal(err.text, "The kernel does not mount it: Invalid argument.");
		kernel.refuse = NULL;
	}
	assert_int_equal(start(4096, &o), 0);
}

static void the_kernels_own_words_are_told(void **state)
{
	kernel.refuse = "fd";
	kernel.words = "e fuse: Bad value for 'fd'\n";
	assert_int_equal(start(0, NULL), -EINVAL);
	assert_string_equal(err.text, "The kernel does not mount it: Invalid argument (fuse: Bad "
				      "value for 'fd').");
	kernel.words = "e ";
	assert_int_equal(start(0, NULL), -EINVAL);
	assert_string_equal(err.text, "The kernel does not mount it: Invalid argument.");
	kernel.words = "e x";
	assert_int_equal(start(0, NULL), -EINVAL);
	assert_string_equal(err.text, "The kernel does not mount it: Invalid argument (x).");
}

static void each_step_that_fails_is_the_last_one(void **state)
{
	kernel.fsopen = EPERM;
	assert_int_equal(start(0, NULL), -EPERM);
	assert_string_equal(kernel.calls, "[fuse]");
	assert_non_null(strstr(err.text, "fsopen: Operation not permitted"));
	kernel.fsopen = 0;
	kernel.create = ENOMEM;
	assert_int_equal(start(0, NULL), -ENOMEM);
	assert_null(strstr(kernel.calls, "[mount]"));
	assert_non_null(strstr(err.text, "does not mount it: Cannot allocate memory"));
	kernel.create = 0;
	kernel.fsmount = EPERM;
	assert_int_equal(start(0, NULL), -EPERM);
	assert_null(strstr(kernel.calls, "[put]"));
	assert_non_null(strstr(err.text, "does not mount it: Operation not permitted"));
	kernel.fsmount = 0;
	kernel.id = -ENOSYS;
	assert_int_equal(start(0, NULL), -ENOSYS);
	assert_null(strstr(kernel.calls, "[put]"));
	assert_non_null(strstr(err.text, "does not put the mount there: Function not"));
	assert_false(is_open(kernel.mount_fd));
	assert_int_equal(viofs_mount_minor(m), 0);
	kernel.id = 0;
	kernel.move = EACCES;
	assert_int_equal(start(0, NULL), -EACCES);
	assert_non_null(strstr(err.text, "does not put the mount there: Permission denied"));
	assert_false(is_open(kernel.mount_fd));
}

static void without_the_module_that_is_said(void **state)
{
	struct viofs_mount *none = NULL;

	close(fuse[0]);
	close(fuse[1]);
	fuse[0] = fuse[1] = -1;
	assert_int_equal(viofs_mount_new(&none, &err), -ENODEV);
	assert_null(none);
	assert_non_null(strstr(err.text, "modprobe fuse"));
	viofs_mount_close(NULL);
}

int __wrap_umount2(const char *path, int flags);
int __wrap_umount2(const char *path, int flags)
{
	if (!kernel.mounted)
		fail_msg("%s is unmounted", path);
	assert_int_equal(flags, MNT_FORCE);
	assert_int_equal(strncmp(path, "/proc/self/fd/", 14), 0);
	kernel.unmounts++;
	return kernel.unmount ? fail_with(kernel.unmount) : 0;
}

int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	kernel.syncs++;
	return kernel.sync ? fail_with(kernel.sync) : 0;
}

int __real_viofs_places_find(unsigned int minor_no, struct viofs_places *places);
int __wrap_viofs_places_find(unsigned int minor_no, struct viofs_places *places);
int __wrap_viofs_places_find(unsigned int minor_no, struct viofs_places *places)
{
	if (!kernel.mounted)
		return __real_viofs_places_find(minor_no, places);
	*places = (struct viofs_places){ NULL, 0 };
	return 0;
}

struct viofs_holding *__wrap_viofs_places_hold(struct viofs_places *places, unsigned int enough,
					       unsigned int ms);
struct viofs_holding *__wrap_viofs_places_hold(struct viofs_places *places, unsigned int enough,
					       unsigned int ms)
{
	return NULL;
}

/* A folder stands for the root of the mount. */
int __wrap_viofs_holding_take(struct viofs_holding *h);
int __wrap_viofs_holding_take(struct viofs_holding *h)
{
	return kernel.mounted ? __real_open64("/", O_PATH | O_CLOEXEC) : -ESTALE;
}

static void a_forced_unmount_aborts_where_there_is_no_fusectl(void **state)
{
	unsigned int before = model_count_fds();

	kernel.mounted = true;
	assert_int_equal(viofs_mount_abort(m), 0);
	kernel.unmount = EBUSY; /* by our descriptor of it */
	assert_int_equal(viofs_mount_abort(m), 0);
	kernel.unmount = EPERM;
	assert_int_equal(viofs_mount_abort(m), -EPERM);
	assert_int_equal(kernel.unmounts, 3);
	assert_int_equal(model_count_fds(), before);
}

static void its_file_system_is_synced(void **state)
{
	unsigned int before = model_count_fds();

	kernel.mounted = true;
	assert_int_equal(viofs_mount_sync(m), 0);
	assert_int_equal(kernel.syncs, 1);
	kernel.sync = EIO;
	assert_int_equal(viofs_mount_sync(m), -EIO);
	assert_int_equal(kernel.syncs, 2);
	assert_int_equal(model_count_fds(), before);
}

static void without_fusectl_or_a_mount_there_is_nothing_to_abort_by(void **state)
{
	assert_int_equal(viofs_mount_control_fd(m), -1);
	assert_int_equal(viofs_mount_abort(m), -ESTALE);
	assert_int_equal(viofs_mount_sync(m), -ESTALE);
	assert_int_equal(viofs_mount_clone(m), -ESTALE);
	assert_int_equal(viofs_mount_unmount(m), -EINVAL);
	assert_false(viofs_mount_is_there(m));
	viofs_mount_end(m);
}

/* With its directory in fusectl, here one of the test's own. */
static void abort_is_written_into_its_own_directory(void **state)
{
	unsigned int before;
	struct viofs_mount *with;

	tree_make();
	tree_file("35/waiting", "0\n");
	tree_file("35/abort", "");
	kernel.fusectl = tree_path(".");
	assert_int_equal(viofs_mount_new(&with, &err), 0);
	viofs_mount_close(m);
	m = with;
	assert_int_equal(start(0, NULL), 0);
	assert_true(viofs_mount_control_fd(m) >= 0);
	before = model_count_fds();
	assert_true(viofs_mount_exists(m));
	assert_int_equal(viofs_mount_abort(m), 0);
	assert_string_equal(tree_read("35/abort"), "1");
	assert_int_equal(model_count_fds(), before);
	assert_int_equal(viofs_mount_end(m), 0);
	/* It is there, and can't be ended. */
	tree_unlink("35/abort");
	assert_int_equal(viofs_mount_end(m), -ENOENT);
	tree_file("35/abort", "");
	tree_file("35/waiting", "");
	assert_false(viofs_mount_exists(m));
	tree_unlink("35/waiting");
	assert_false(viofs_mount_exists(m));
	tree_unlink("35/abort");
	assert_int_equal(viofs_mount_abort(m), -ENOENT);
	assert_int_equal(viofs_mount_end(m), 0);
	assert_int_equal(model_count_fds(), before);
	tree_remove();
}

/* Without fusectl it is there until the connection ends, as poll(2) says. */
static void a_mount_exists_until_it_has_hung_up(void **state)
{
	struct pollfd p = { .events = 0 };

	assert_true(viofs_mount_exists(m));
	p.fd = viofs_mount_fd(m);
	viofs_mount_hang_up(m);
	assert_false(viofs_mount_exists(m));
	/* The number stays taken. */
	assert_int_equal(viofs_mount_fd(m), p.fd);
	assert_true(is_open(p.fd));
	assert_true(fcntl(p.fd, F_GETFD) & FD_CLOEXEC);
	viofs_mount_hang_up(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_configured_then_made_then_put),
		TEST(the_users_words_reach_the_kernel),
		TEST(each_setting_that_is_refused_ends_it),
		TEST(the_kernels_own_words_are_told),
		TEST(each_step_that_fails_is_the_last_one),
		TEST(without_the_module_that_is_said),
		TEST(without_fusectl_or_a_mount_there_is_nothing_to_abort_by),
		TEST(a_forced_unmount_aborts_where_there_is_no_fusectl),
		TEST(its_file_system_is_synced),
		TEST(abort_is_written_into_its_own_directory),
		TEST(a_mount_exists_until_it_has_hung_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
