// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs scenarios of file system calls in a directory and prints a line for each call. */
/*
 * Two drivers of the same virtiofsd must give the same transcript, so a line holds only what must
 * not vary: results, errnos, sizes, modes; never times, inode numbers or addresses.
 *
 *   transcript DIR               all scenarios
 *   transcript DIR SCENARIO...   these only
 *   transcript --list            their names
 */
#include "transcript.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* Far more than any scenario takes in an emulated guest: only a hang gets there. */
#define SCENARIO_SECONDS 120

struct scenario {
	const char *name;
	void (*run)(void);
};

static const struct scenario scenarios[] = {
	{ "names", scenario_names },
	{ "links", scenario_links },
	{ "loops", scenario_loops },
	{ "special", scenario_special },
	{ "open", scenario_open },
	{ "tmpfile", scenario_tmpfile },
	{ "umask", scenario_umask },
	{ "unlinked", scenario_unlinked },
	{ "rename", scenario_rename },
	{ "rename_flags", scenario_rename_flags },
	{ "holes", scenario_holes },
	{ "fallocate", scenario_fallocate },
	{ "truncate", scenario_truncate },
	{ "offsets", scenario_offsets },
	{ "copy_range", scenario_copy_range },
	{ "xattr", scenario_xattr },
	{ "xattr_large", scenario_xattr_large },
	{ "acl", scenario_acl },
	{ "acl_default", scenario_acl_default },
	{ "flock", scenario_flock },
	{ "posix_lock", scenario_posix_lock },
	{ "ofd_lock", scenario_ofd_lock },
	{ "mode", scenario_mode },
	{ "owner", scenario_owner },
	{ "times", scenario_times },
	{ "statx", scenario_statx },
	{ "statfs", scenario_statfs },
	{ "ioctl", scenario_ioctl },
	{ "readdir", scenario_readdir },
	{ "seekdir", scenario_seekdir },
	{ "append", scenario_append },
	{ "direct", scenario_direct },
	{ "mmap", scenario_mmap },
	{ "splice", scenario_splice },
	{ "sync", scenario_sync },
	{ "access", scenario_access },
	{ "sticky", scenario_sticky },
	{ "groups", scenario_groups },
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static const char *current = "transcript";

void transcript_line(const char *label, const char *fmt, ...)
{
	int saved = errno;
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* Unbuffered, so that lines of children keep their place. */
	dprintf(STDOUT_FILENO, "%s: %s: %s\n", current, label, text);
	errno = saved;
}

long transcript_result(const char *label, long ret)
{
	if (ret < 0)
		transcript_line(label, "%s", strerrorname_np(errno));
	else
		transcript_line(label, "%ld", ret);
	return ret;
}

int transcript_fd(const char *label, int fd)
{
	transcript_line(label, "%s", fd < 0 ? strerrorname_np(errno) : "opened");
	return fd;
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	default:
		return "unknown";
	}
}

void transcript_stat(const char *label, const char *path)
{
	struct stat st;

	if (lstat(path, &st)) {
		transcript_result(label, -1);
		return;
	}
	/* A directory's size is the host file system's affair and changes with its use. */
	transcript_line(label, "%s %04o links %lu owner %u:%u size %lld device %u,%u",
			type_name(st.st_mode), st.st_mode & 07777, (unsigned long)st.st_nlink,
			st.st_uid, st.st_gid, S_ISDIR(st.st_mode) ? 0 : (long long)st.st_size,
			major(st.st_rdev), minor(st.st_rdev));
}

unsigned long long transcript_checksum(const void *data, size_t len, unsigned long long sum)
{
	const unsigned char *byte = data;

	while (len--)
		sum = (sum ^ *byte++) * 0x100000001b3ULL;
	return sum;
}

void transcript_content(const char *label, const char *path)
{
	static char buf[65536];
	unsigned long long sum = TRANSCRIPT_CHECKSUM_SEED, size = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : 0;

	while (fd >= 0 && (got = read(fd, buf, sizeof(buf))) > 0) {
		sum = transcript_checksum(buf, got, sum);
		size += got;
	}
	if (got < 0)
		transcript_result(label, -1);
	else
		transcript_line(label, "%llu bytes, sum %016llx", size, sum);
	if (fd >= 0)
		close(fd);
}

void transcript_make(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t len = strlen(content);

	if (fd < 0 || write(fd, content, len) != len)
		transcript_line("PREPARATION", "%.80s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

int transcript_child(void (*step)(void))
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		err(2, "fork");
	if (!pid) {
		step();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			err(2, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void transcript_as(uid_t uid, gid_t gid, void (*step)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		err(2, "fork");
	if (!pid) {
		if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
			err(2, "becoming user %u", uid);
		step();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void run_here(const struct scenario *scenario)
{
	alarm(SCENARIO_SECONDS);
	umask(022);
	scenario->run();
	_exit(0);
}

/* In a process of its own: user ids, umask and a crash stay inside. */
static void run_scenario(const struct scenario *scenario)
{
	int status = 0;
	pid_t pid;

	current = scenario->name;
	if (mkdir(scenario->name, 0755) || chdir(scenario->name))
		err(2, "directory of scenario %s", scenario->name);
	pid = fork();
	if (pid < 0)
		err(2, "fork");
	if (!pid)
		run_here(scenario);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		transcript_line("KILLED", "signal %d", WTERMSIG(status));
	if (chdir(".."))
		err(2, "leaving scenario %s", scenario->name);
	transcript_result("cleaned up",
			  nftw(scenario->name, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT));
}

static const struct scenario *find_scenario(const char *name)
{
	for (size_t i = 0; i < SCENARIOS; i++)
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	errx(2, "no scenario %s (see --list)", name);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (size_t i = 0; i < SCENARIOS; i++)
			puts(scenarios[i].name);
		return 0;
	}
	if (argc < 2)
		errx(2, "usage: transcript DIR [SCENARIO...] | --list");
	if (chdir(argv[1]))
		err(2, "%s", argv[1]);
	if (argc == 2)
		for (size_t i = 0; i < SCENARIOS; i++)
			run_scenario(&scenarios[i]);
	for (int i = 2; i < argc; i++)
		run_scenario(find_scenario(argv[i]));
	return 0;
}
