/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that SIGINT and SIGTERM end in good order, whatever the device does: signals SOURCE
 * FILE
 *
 * It reads the file again and again. The library restarts its waits after signals and has no call
 * for handlers, so another thread waits for the signals (sigwait(3)). The first asks for the end,
 * after which the device is given back; a device that hangs doesn't let that happen, so after two
 * seconds, or with a second signal, viofs_dev_abort() makes the calls that wait return.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <viofs/viofs.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

static struct viofs_dev *dev;
static volatile int ending;

static void *wait_for_signals(void *arg)
{
	const struct timespec patience = { 2, 0 };
	const sigset_t *set = (const sigset_t *)arg;
	int number;

	if (sigwait(set, &number))
		return NULL;
	__atomic_store_n(&ending, 1, __ATOMIC_RELEASE);
	/* main() cancels this thread where it ends by itself. */
	sigtimedwait(set, NULL, &patience);
	viofs_dev_abort(dev);
	return NULL;
}

int main(int argc, char **argv)
{
	struct viofs_session *session = NULL;
	struct viofs_file *file = NULL;
	static struct viofs_err err;
	unsigned long long bytes = 0;
	static char data[65536];
	pthread_t thread;
	ssize_t n = -1;
	sigset_t set;

	if (argc != 3) {
		fprintf(stderr, "Usage: signals SOURCE FILE\n");
		return 2;
	}
	/* Before there are threads: all of them have them blocked. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (viofs_dev_open(argv[1], NULL, &dev, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (pthread_create(&thread, NULL, wait_for_signals, &set))
		return 1;
	if (!viofs_session_open(dev, NULL, &session, &err) &&
	    !viofs_file_open(session, argv[2], 0, O_RDONLY, 0, &file, &err)) {
		printf("reading\n");
		fflush(stdout);
		do {
			n = viofs_file_read(file, data, sizeof(data), &err);
			if (n > 0)
				bytes += (unsigned long long)n;
			else if (!n)
				viofs_file_lseek(file, 0, SEEK_SET, NULL);
		} while (n >= 0 && !__atomic_load_n(&ending, __ATOMIC_ACQUIRE));
	}
	if (n < 0)
		fprintf(stderr, "%s\n", err.text);
	viofs_file_close(file, NULL);
	viofs_session_close(session);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	viofs_dev_close(dev, NULL);
	printf("ended, %llu bytes were read\n", bytes);
	return n < 0;
}
