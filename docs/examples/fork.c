/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that uses a share and starts others: fork SOURCE FILE
 *
 * A child of fork(2) has no device: calls fail with -ENODEV, DMA memory is not there. So let it
 * execute another program at once, and give it data by a pipe.
 */
#include <viofs/viofs.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The file's bytes to a child's standard input: "wc -c" counts them. */
static int pipe_to_wc(struct viofs_session *session, struct viofs_file *file)
{
	static char data[65536];
	ssize_t n = 0;
	int ends[2], status;
	pid_t pid;

	if (pipe(ends))
		return -errno;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct stat st;

		/* What would fail, to show it: the parent's session isn't this process's. */
		if (viofs_path_stat(session, "/", 0, &st, NULL) != -ENODEV)
			_exit(3);
		dup2(ends[0], STDIN_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp("wc", "wc", "-c", (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	while (pid > 0 && (n = viofs_file_read(file, data, sizeof(data), NULL)) > 0)
		if (write(ends[1], data, (size_t)n) != n)
			break;
	close(ends[1]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (n < 0)
		return (int)n;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

int main(int argc, char **argv)
{
	struct viofs_session *session = NULL;
	struct viofs_file *file = NULL;
	struct viofs_dev *dev = NULL;
	static struct viofs_err err;
	int rc = 1;

	if (argc != 3) {
		fprintf(stderr, "Usage: fork SOURCE FILE\n");
		return 2;
	}
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err) ||
	    viofs_file_open(session, argv[2], 0, O_RDONLY, 0, &file, &err))
		fprintf(stderr, "%s\n", err.text);
	else
		rc = pipe_to_wc(session, file);
	if (rc < 0)
		fprintf(stderr, "%s\n", strerror(-rc));
	viofs_file_close(file, NULL);
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return rc != 0;
}
