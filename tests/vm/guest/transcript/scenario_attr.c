// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: modes, owners, times, statx, statfs, attribute ioctls. */
#include "transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <termios.h>
#include <unistd.h>

static void write_to_f(void)
{
	int fd = open("f", O_WRONLY);

	transcript_result("user's write", write(fd, "x", 1));
	close(fd);
}

static void overwrite_f(void)
{
	int fd = open("f", O_WRONLY);

	transcript_result("user's second write", write(fd, "y", 1));
	close(fd);
}

static void truncate_f(void)
{
	transcript_result("user's truncate", truncate("f", 5));
}

static void chmod_as_user(void)
{
	transcript_result("chmod of another's file", chmod("f", 0777));
	transcript_result("chmod of own file", chmod("own", 02755));
	transcript_stat("setgid outside the group", "own");
}

void scenario_mode(void)
{
	transcript_make("f", "0123456789");
	transcript_result("chmod 0", chmod("f", 0));
	transcript_stat("mode 0", "f");
	transcript_result("chmod 7777", chmod("f", 07777));
	transcript_stat("mode 7777", "f");
	chmod("f", 06777);
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, write_to_f);
	transcript_stat("write clears setuid", "f");
	chmod("f", 06777);
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, truncate_f);
	transcript_stat("truncate clears setuid", "f");
	chmod("f", 02767);
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, overwrite_f);
	transcript_stat("setgid without group execution", "f");
	chmod("f", 06777);
	transcript_result("root's chown", chown("f", 7, 8));
	transcript_stat("chown clears setuid", "f");
	transcript_make("own", "x");
	transcript_result("give away", chown("own", TRANSCRIPT_USER, 0));
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, chmod_as_user);
	transcript_result("symlink", symlink("f", "s"));
	transcript_result("chmod of a symlink", fchmodat(AT_FDCWD, "s", 0600, AT_SYMLINK_NOFOLLOW));
	transcript_result("chmod through it", chmod("s", 0601));
	transcript_stat("chmod through the symlink", "f");
	mkdir("setgid", 0755);
	transcript_result("directory's group", chown("setgid", 0, TRANSCRIPT_GROUP));
	transcript_result("setgid on a directory", chmod("setgid", 02755));
	mkdir("setgid/sub", 0755);
	transcript_stat("subdirectory inherits", "setgid/sub");
	transcript_make("setgid/f", "x");
	transcript_stat("file inherits the group", "setgid/f");
}

static void chown_as_user(void)
{
	transcript_result("user takes", chown("f", TRANSCRIPT_USER, -1));
	transcript_result("user gives away", chown("mine", TRANSCRIPT_OTHER, -1));
	transcript_result("user to foreign group", chown("mine", -1, TRANSCRIPT_OTHER));
	transcript_result("user to own group", chown("mine", -1, TRANSCRIPT_GROUP));
	transcript_result("user changes nothing", chown("mine", -1, -1));
}

void scenario_owner(void)
{
	transcript_make("f", "x");
	transcript_make("mine", "x");
	transcript_result("chown both", chown("f", 12345, 54321));
	transcript_stat("both", "f");
	transcript_result("chown user", chown("f", 1, -1));
	transcript_stat("user only", "f");
	transcript_result("chown group", chown("f", -1, 2));
	transcript_stat("group only", "f");
	transcript_result("largest ids", chown("f", 0xfffffffe, 0xfffffffe));
	transcript_stat("with largest ids", "f");
	symlink("f", "s");
	transcript_result("lchown", lchown("s", 3, 4));
	transcript_stat("symlink's owner", "s");
	chown("mine", TRANSCRIPT_USER, 0);
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, chown_as_user);
	transcript_stat("in the end", "mine");
}

static void show_times(const char *label, const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		transcript_result(label, -1);
	else
		transcript_line(label, "%lld.%09ld %lld.%09ld", (long long)st.st_atim.tv_sec,
				st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec,
				st.st_mtim.tv_nsec);
}

static void set_times(const char *label, const char *path, struct timespec a, struct timespec m,
		      int flags)
{
	struct timespec both[2] = { a, m };

	transcript_result(label, utimensat(AT_FDCWD, path, both, flags));
}

static void times_as_user(void)
{
	set_times("user sets", "f", (struct timespec){ 1, 0 }, (struct timespec){ 1, 0 }, 0);
	transcript_result("user touches", utimensat(AT_FDCWD, "f", NULL, 0));
	transcript_result("user touches writable", utimensat(AT_FDCWD, "w", NULL, 0));
}

void scenario_times(void)
{
	const struct timespec omit = { .tv_nsec = UTIME_OMIT }, now = { .tv_nsec = UTIME_NOW };
	struct stat before, after;
	int fd;

	transcript_make("f", "x");
	set_times("both", "f", (struct timespec){ 1000, 123456789 },
		  (struct timespec){ 2000, 987654321 }, 0);
	show_times("both set", "f");
	set_times("omit one", "f", omit, (struct timespec){ 3000, 1 }, 0);
	show_times("one omitted", "f");
	set_times("omit both", "f", omit, omit, 0);
	show_times("both omitted", "f");
	set_times("before 1970", "f", (struct timespec){ -5, 5 }, (struct timespec){ -7, 7 }, 0);
	show_times("set before 1970", "f");
	set_times("after 2106", "f", (struct timespec){ 5000000000, 5 },
		  (struct timespec){ 6000000000, 0 }, 0);
	show_times("set after 2106", "f");
	set_times("bad nanoseconds", "f", (struct timespec){ 0, 1000000000 }, omit, 0);
	symlink("f", "s");
	set_times("symlink", "s", (struct timespec){ 10, 10 }, (struct timespec){ 20, 20 },
		  AT_SYMLINK_NOFOLLOW);
	show_times("symlink's", "s");
	set_times("now", "f", now, now, 0);
	stat("f", &before);
	transcript_line("now is", "%s", before.st_mtim.tv_sec > 1000000000 ? "late" : "early");
	set_times("back", "f", (struct timespec){ 10, 10 }, (struct timespec){ 20, 20 }, 0);
	fd = open("f", O_WRONLY);
	transcript_result("write", write(fd, "y", 1));
	close(fd);
	stat("f", &after);
	transcript_line("write changes mtime", "%s", after.st_mtim.tv_sec > 20 ? "yes" : "no");
	transcript_make("w", "x");
	chmod("w", 0666);
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, times_as_user);
}

static void show_statx(const char *label, const char *path, int flags, unsigned int mask)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, flags, mask, &stx))
		transcript_result(label, -1);
	else
		transcript_line(label, "mask %x attributes %llx of %llx mode %o links %u size %llu",
				stx.stx_mask & ~STATX_MNT_ID & 0xfff,
				(unsigned long long)stx.stx_attributes & ~STATX_ATTR_MOUNT_ROOT,
				(unsigned long long)stx.stx_attributes_mask, stx.stx_mode,
				stx.stx_nlink,
				S_ISDIR(stx.stx_mode) ? 0ULL : (unsigned long long)stx.stx_size);
}

void scenario_statx(void)
{
	transcript_make("f", "12345");
	symlink("f", "s");
	show_statx("basic", "f", 0, STATX_BASIC_STATS);
	show_statx("with birth time", "f", 0, STATX_BASIC_STATS | STATX_BTIME);
	show_statx("forced", "f", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS);
	show_statx("unforced", "f", AT_STATX_DONT_SYNC, STATX_BASIC_STATS);
	show_statx("both ways", "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_SIZE);
	show_statx("size alone", "f", 0, STATX_SIZE);
	show_statx("symlink", "s", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS);
	show_statx("directory", ".", 0, STATX_BASIC_STATS);
	show_statx("missing", "none", 0, STATX_BASIC_STATS);
	show_statx("everything", "f", 0, STATX_ALL);
}

void scenario_statfs(void)
{
	struct statfs fs;
	struct statvfs vfs;
	struct stat st;
	int sane;

	transcript_make("f", "x");
	if (transcript_result("statfs", statfs("f", &fs)) == 0) {
		sane = fs.f_blocks && fs.f_bfree <= fs.f_blocks && fs.f_bavail <= fs.f_bfree &&
		       fs.f_bsize;
		transcript_line("sane", "%s", sane ? "yes" : "no");
		transcript_line("magic", "%lx", (unsigned long)fs.f_type);
		transcript_line("block size", "%ld", (long)fs.f_bsize);
		transcript_line("longest name", "%ld", (long)fs.f_namelen);
	}
	if (!statvfs("f", &vfs))
		transcript_line("mount flags", "%lx",
				vfs.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC));
	if (!stat("f", &st))
		transcript_line("I/O size", "%ld", (long)st.st_blksize);
	transcript_result("missing", statfs("none", &fs));
	transcript_result("longest name by pathconf", pathconf("f", _PC_NAME_MAX));
}

void scenario_ioctl(void)
{
	struct fsxattr attr;
	struct termios tty;
	int fd, flags = 0, version = 0, value = 0;

	transcript_make("f", "12345");
	fd = open("f", O_RDWR);
	transcript_result("get flags", ioctl(fd, FS_IOC_GETFLAGS, &flags));
	transcript_line("the flags", "%x", flags);
	flags |= FS_NODUMP_FL;
	transcript_result("set flags", ioctl(fd, FS_IOC_SETFLAGS, &flags));
	transcript_result("get xflags", ioctl(fd, FS_IOC_FSGETXATTR, &attr));
	transcript_result("set xflags", ioctl(fd, FS_IOC_FSSETXATTR, &attr));
	transcript_result("get version", ioctl(fd, FS_IOC_GETVERSION, &version));
	transcript_result("bytes to read", ioctl(fd, FIONREAD, &value));
	transcript_line("so many", "%d", value);
	transcript_result("block map", ioctl(fd, FIBMAP, &value));
	transcript_result("terminal's", ioctl(fd, TCGETS, &tty));
	transcript_result("unknown", ioctl(fd, _IOR('v', 250, int), &value));
	transcript_result("clone", ioctl(fd, FICLONE, fd));
	transcript_result("directory's flags", ioctl(open(".", O_RDONLY), FS_IOC_GETFLAGS, &flags));
}
