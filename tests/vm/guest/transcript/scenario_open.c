// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: special files, open flags, O_TMPFILE, umask, unlinked but open files. */
#include "transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static void fifos(void)
{
	char buf[8] = "";
	int in, out;

	transcript_result("mkfifo", mkfifo("fifo", 0640));
	transcript_stat("the fifo", "fifo");
	transcript_fd("write end without reader", open("fifo", O_WRONLY | O_NONBLOCK));
	in = transcript_fd("read end", open("fifo", O_RDONLY | O_NONBLOCK));
	out = transcript_fd("write end", open("fifo", O_WRONLY | O_NONBLOCK));
	transcript_result("write to the fifo", write(out, "hello", 5));
	transcript_result("read from the fifo", read(in, buf, sizeof(buf)));
	transcript_line("what came through", "%.5s", buf);
	close(in);
	close(out);
}

static void sockets(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "socket" };
	struct sockaddr *addr = (struct sockaddr *)&name;
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	transcript_result("bind", bind(server, addr, sizeof(name)));
	transcript_stat("the socket", "socket");
	transcript_result("connect before listen", connect(client, addr, sizeof(name)));
	transcript_result("listen", listen(server, 1));
	transcript_result("connect", connect(client, addr, sizeof(name)));
	transcript_result("send", send(client, "x", 1, 0));
	transcript_fd("open a socket", open("socket", O_RDWR));
	close(client);
	close(server);
	transcript_result("connect after close",
			  connect(socket(AF_UNIX, SOCK_STREAM, 0), addr, sizeof(name)));
	transcript_result("mknod a socket", mknod("socket2", S_IFSOCK | 0700, 0));
	transcript_stat("the second socket", "socket2");
}

static void make_node_as_user(void)
{
	transcript_result("device node as user", mknod("open/user", S_IFCHR | 0666, makedev(1, 3)));
	transcript_result("fifo as user", mknod("open/userfifo", S_IFIFO | 0666, 0));
	transcript_stat("the user's fifo", "open/userfifo");
}

static void devices(void)
{
	char buf[4] = "";
	int fd;

	transcript_result("mknod null", mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	transcript_stat("the null node", "null");
	fd = transcript_fd("open null", open("null", O_RDWR));
	transcript_result("write null", write(fd, "abc", 3));
	transcript_result("read null", read(fd, buf, sizeof(buf)));
	transcript_result("mknod zero", mknod("zero", S_IFCHR | 0600, makedev(1, 5)));
	transcript_result("read zero", read(open("zero", O_RDONLY), buf, sizeof(buf)));
	transcript_result("mknod block", mknod("block", S_IFBLK | 0600, makedev(259, 65537)));
	transcript_stat("large device numbers", "block");
	transcript_fd("open of no device", open("block", O_RDONLY));
	transcript_result("mknod file", mknod("regular", S_IFREG | 0604, 0));
	transcript_stat("mknod's file", "regular");
	transcript_result("mknod directory", mknod("mkdir", S_IFDIR | 0755, 0));
	transcript_result("whiteout device", mknod("whiteout", S_IFCHR, 0));
	mkdir("open", 0777);
	chmod("open", 0777);
	transcript_as(TRANSCRIPT_USER, TRANSCRIPT_GROUP, make_node_as_user);
}

void scenario_special(void)
{
	fifos();
	sockets();
	devices();
}

void scenario_open(void)
{
	int fd;

	mkdir("d", 0755);
	transcript_make("f", "0123456789");
	transcript_fd("O_EXCL on existing", open("f", O_WRONLY | O_CREAT | O_EXCL, 0644));
	transcript_fd("O_EXCL on new", open("g", O_WRONLY | O_CREAT | O_EXCL, 0604));
	transcript_stat("O_EXCL's file", "g");
	transcript_fd("O_TRUNC", open("f", O_WRONLY | O_TRUNC));
	transcript_content("truncated", "f");
	transcript_fd("O_TRUNC read only", open("f", O_RDONLY | O_TRUNC));
	transcript_fd("missing", open("none", O_RDONLY));
	transcript_fd("directory for writing", open("d", O_WRONLY));
	transcript_fd("O_CREAT on a directory", open("d", O_RDONLY | O_CREAT, 0644));
	transcript_fd("O_DIRECTORY on a file", open("f", O_RDONLY | O_DIRECTORY));
	transcript_fd("O_DIRECTORY and O_CREAT", open("h", O_RDONLY | O_DIRECTORY | O_CREAT, 0755));
	transcript_fd("file as directory", open("f/x", O_RDONLY));
	fd = transcript_fd("O_PATH", open("f", O_PATH));
	transcript_result("read of O_PATH", read(fd, (char[1]){ 0 }, 1));
	transcript_fd("O_NOATIME", open("f", O_RDONLY | O_NOATIME));
	transcript_fd("O_SYNC", open("f", O_WRONLY | O_SYNC));
	transcript_fd("O_DSYNC and O_APPEND", open("f", O_WRONLY | O_DSYNC | O_APPEND));
	transcript_fd("access mode 3", open("f", 3));
	fd = transcript_fd("read only", open("f", O_RDONLY));
	transcript_result("write to read only", write(fd, "x", 1));
	fd = transcript_fd("write only", open("f", O_WRONLY));
	transcript_result("read from write only", read(fd, (char[1]){ 0 }, 1));
	transcript_result("read of a directory", read(open("d", O_RDONLY), (char[1]){ 0 }, 1));
	transcript_fd("created without permissions", open("z", O_RDWR | O_CREAT, 0));
	transcript_stat("file without permissions", "z");
}

static int link_descriptor(int fd, const char *to)
{
	char from[64];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
}

void scenario_tmpfile(void)
{
	struct stat st;
	int fd = transcript_fd("O_TMPFILE", open(".", O_TMPFILE | O_RDWR, 0640));

	transcript_result("write", write(fd, "temporary", 9));
	if (!fstat(fd, &st))
		transcript_line("fstat", "%o links %lu size %lld", st.st_mode,
				(unsigned long)st.st_nlink, (long long)st.st_size);
	transcript_result("linkat", link_descriptor(fd, "kept"));
	transcript_stat("linked", "kept");
	transcript_content("its content", "kept");
	transcript_result("linkat over existing", link_descriptor(fd, "kept"));
	close(fd);
	fd = transcript_fd("with O_EXCL", open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	transcript_result("linkat of O_EXCL", link_descriptor(fd, "never"));
	transcript_fd("read only", open(".", O_TMPFILE | O_RDONLY, 0600));
	transcript_fd("in a file", open("kept", O_TMPFILE | O_RDWR, 0600));
	transcript_fd("in a missing directory", open("none", O_TMPFILE | O_RDWR, 0600));
}

void scenario_umask(void)
{
	umask(0);
	mkdir("zero", 0777);
	transcript_stat("directory, umask 0", "zero");
	close(open("zero/f", O_WRONLY | O_CREAT, 0666));
	transcript_stat("file, umask 0", "zero/f");
	umask(077);
	mkdir("private", 0777);
	transcript_stat("directory, umask 077", "private");
	close(open("private/f", O_WRONLY | O_CREAT, 0666));
	transcript_stat("file, umask 077", "private/f");
	mknod("private/fifo", S_IFIFO | 0666, 0);
	transcript_stat("fifo, umask 077", "private/fifo");
	transcript_result("symlink, umask 077", symlink("x", "private/s"));
	transcript_stat("symlink's mode", "private/s");
	umask(0777);
	mkdir("nothing", 0777);
	transcript_stat("directory, umask 0777", "nothing");
	umask(022);
	mkdir("sticky", 01777);
	transcript_stat("directory with sticky bit", "sticky");
	close(open("setuid", O_WRONLY | O_CREAT, 06755));
	transcript_stat("file with setuid and setgid", "setuid");
}

void scenario_unlinked(void)
{
	char buf[32] = "";
	struct stat st;
	int fd, dir;

	fd = transcript_fd("create", open("f", O_RDWR | O_CREAT, 0644));
	transcript_result("write", write(fd, "before", 6));
	transcript_result("unlink while open", unlink("f"));
	transcript_result("look it up", access("f", F_OK));
	transcript_result("write after", write(fd, "after", 5));
	transcript_result("read after", pread(fd, buf, sizeof(buf), 0));
	transcript_line("what it holds", "%s", buf);
	if (!fstat(fd, &st))
		transcript_line("fstat", "links %lu size %lld", (unsigned long)st.st_nlink,
				(long long)st.st_size);
	transcript_result("truncate", ftruncate(fd, 3));
	transcript_result("chmod", fchmod(fd, 0600));
	transcript_result("chown", fchown(fd, 1, 1));
	transcript_result("fsync", fsync(fd));
	transcript_result("link it back", link_descriptor(fd, "back"));
	transcript_make("f", "another");
	transcript_content("name used again", "f");
	transcript_result("old one unchanged", pread(fd, buf, sizeof(buf), 0));
	close(fd);
	mkdir("d", 0755);
	dir = open("d", O_RDONLY | O_DIRECTORY);
	transcript_result("rmdir while open", rmdir("d"));
	transcript_fd("create in it", openat(dir, "x", O_WRONLY | O_CREAT, 0644));
	transcript_result("mkdir in it", mkdirat(dir, "x", 0755));
	transcript_result("fstat of it", fstat(dir, &st));
	transcript_make("over", "old");
	fd = open("over", O_RDONLY);
	transcript_make("new", "newer");
	transcript_result("rename over open file", rename("new", "over"));
	memset(buf, 0, sizeof(buf));
	transcript_result("read of the replaced", read(fd, buf, sizeof(buf)));
	transcript_line("the replaced holds", "%s", buf);
}
