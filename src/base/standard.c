/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Standard input, output and error are there. */
#include "base/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int viofs_standard_open(void)
{
	int fd;

	/* The kernel gives the lowest number that is free. They stay open over an execve(2). */
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}
