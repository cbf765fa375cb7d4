// SPDX-License-Identifier: GPL-2.0-or-later
/* Transcript: flock, POSIX and open file description locks between processes. */
#include "transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int fd, to_child[2], to_parent[2];

static void tell(int pipe[2])
{
	if (write(pipe[1], "x", 1) != 1)
		transcript_result("PIPE", -1);
}

static void await(int pipe[2])
{
	char byte;

	if (read(pipe[0], &byte, 1) != 1)
		transcript_result("PIPE", -1);
}

static void start(void)
{
	transcript_make("f", "0123456789");
	fd = open("f", O_RDWR);
	if (fd < 0 || pipe(to_child) || pipe(to_parent))
		transcript_result("PREPARATION", -1);
}

static void interrupted(int signal)
{
}

/* Without SA_RESTART: a blocked lock call must return EINTR. */
static void alarm_soon(void)
{
	struct sigaction action = { .sa_handler = interrupted };
	struct itimerval soon = { .it_value = { .tv_usec = 300000 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
}

static pid_t child_of(void (*step)(void))
{
	pid_t pid = fork();

	if (!pid) {
		step();
		_exit(0);
	}
	return pid;
}

static void flock_holder(void)
{
	int own = open("f", O_RDWR);

	transcript_result("child takes it exclusively", flock(own, LOCK_EX));
	tell(to_parent);
	await(to_child);
}

void scenario_flock(void)
{
	int second;
	pid_t pid;

	start();
	second = open("f", O_RDWR);
	transcript_result("shared", flock(fd, LOCK_SH));
	transcript_result("shared again", flock(second, LOCK_SH));
	transcript_result("exclusive against shared", flock(second, LOCK_EX | LOCK_NB));
	transcript_result("unlock", flock(fd, LOCK_UN));
	transcript_result("upgrade", flock(second, LOCK_EX | LOCK_NB));
	transcript_result("shared against exclusive", flock(fd, LOCK_SH | LOCK_NB));
	close(second);
	transcript_result("closing unlocks", flock(fd, LOCK_EX | LOCK_NB));
	flock(fd, LOCK_UN);
	pid = child_of(flock_holder);
	await(to_parent);
	transcript_result("held by a child", flock(fd, LOCK_EX | LOCK_NB));
	alarm_soon();
	transcript_result("waiting, interrupted", flock(fd, LOCK_EX));
	tell(to_child);
	transcript_result("waiting, freed by exit", flock(fd, LOCK_EX));
	waitpid(pid, NULL, 0);
	transcript_result("bad operation", flock(fd, 0));
}

static long lock(int file, int cmd, short type, off_t start, off_t len)
{
	struct flock range = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};

	return fcntl(file, cmd, &range);
}

static void query(const char *label, int file, int cmd, short type, off_t start, off_t len)
{
	static const char *const names[] = {
		[F_RDLCK] = "read", [F_WRLCK] = "write", [F_UNLCK] = "none"
	};
	struct flock range = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};

	if (fcntl(file, cmd, &range) < 0)
		transcript_result(label, -1);
	else if (range.l_type == F_UNLCK)
		transcript_line(label, "free");
	else
		transcript_line(label, "%s lock at %lld+%lld by %s", names[range.l_type],
				(long long)range.l_start, (long long)range.l_len,
				range.l_pid == getppid() ? "parent"
				: range.l_pid == -1      ? "a description"
							 : "somebody");
}

static void posix_rival(void)
{
	query("child asks for 0+5", fd, F_GETLK, F_WRLCK, 0, 5);
	query("child asks for 5+5", fd, F_GETLK, F_WRLCK, 5, 5);
	query("child asks to read 20+1", fd, F_GETLK, F_RDLCK, 20, 1);
	transcript_result("child locks 0+1", lock(fd, F_SETLK, F_WRLCK, 0, 1));
	transcript_result("child reads 20+1", lock(fd, F_SETLK, F_RDLCK, 20, 1));
	transcript_result("child locks 7+1", lock(fd, F_SETLK, F_WRLCK, 7, 1));
	alarm_soon();
	transcript_result("child waits, interrupted", lock(fd, F_SETLKW, F_WRLCK, 0, 1));
	tell(to_parent);
	transcript_result("child waits, freed", lock(fd, F_SETLKW, F_WRLCK, 0, 1));
}

static void rival_after_close(void)
{
	query("any close frees all", fd, F_GETLK, F_WRLCK, 0, 0);
}

static void deadlock_rival(void)
{
	transcript_result("child holds 60+1", lock(fd, F_SETLK, F_WRLCK, 60, 1));
	tell(to_parent);
	lock(fd, F_SETLKW, F_WRLCK, 50, 1);
}

static void deadlock(void)
{
	pid_t pid;

	transcript_result("parent holds 50+1", lock(fd, F_SETLK, F_WRLCK, 50, 1));
	pid = child_of(deadlock_rival);
	await(to_parent);
	usleep(300000);
	transcript_result("deadlock", lock(fd, F_SETLKW, F_WRLCK, 60, 1));
	lock(fd, F_SETLK, F_UNLCK, 50, 1);
	waitpid(pid, NULL, 0);
}

void scenario_posix_lock(void)
{
	int reader;
	pid_t pid;

	start();
	transcript_result("write lock 0+5", lock(fd, F_SETLK, F_WRLCK, 0, 5));
	transcript_result("read lock 20+10", lock(fd, F_SETLK, F_RDLCK, 20, 10));
	query("own locks are free to ask", fd, F_GETLK, F_WRLCK, 0, 0);
	pid = child_of(posix_rival);
	await(to_parent);
	usleep(300000);
	transcript_result("unlock 0+5", lock(fd, F_SETLK, F_UNLCK, 0, 5));
	waitpid(pid, NULL, 0);
	transcript_result("whole file", lock(fd, F_SETLK, F_WRLCK, 0, 0));
	transcript_result("split it", lock(fd, F_SETLK, F_UNLCK, 100, 10));
	reader = open("f", O_RDONLY);
	transcript_result("write lock, read only", lock(reader, F_SETLK, F_WRLCK, 0, 1));
	close(reader);
	transcript_child(rival_after_close);
	transcript_result("negative start", lock(fd, F_SETLK, F_WRLCK, -1, 1));
	deadlock();
}

void scenario_ofd_lock(void)
{
	int second;

	start();
	second = open("f", O_RDWR);
	transcript_result("write lock 0+5", lock(fd, F_OFD_SETLK, F_WRLCK, 0, 5));
	transcript_result("second description", lock(second, F_OFD_SETLK, F_WRLCK, 0, 1));
	query("second asks", second, F_OFD_GETLK, F_WRLCK, 0, 5);
	transcript_result("beside it", lock(second, F_OFD_SETLK, F_WRLCK, 5, 5));
	transcript_result("POSIX lock against it", lock(fd, F_SETLK, F_WRLCK, 0, 1));
	close(open("f", O_RDWR));
	transcript_result("other close keeps it", lock(second, F_OFD_SETLK, F_RDLCK, 0, 1));
	close(fd);
	transcript_result("last close frees it", lock(second, F_OFD_SETLK, F_RDLCK, 0, 1));
}
