/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs python: Python with a share in its hands.
 *
 * The program's one thread. It owns nothing: it executes Python in its place.
 */
#include "cli.h"
#include "tools_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int viofs_cli_python(char **words)
{
	static char program[] = VIOFS_PYTHON, by_module[] = "-m", module[] = "viofs";
	size_t count = 0;
	char **argv;

	if (!*program)
		return viofs_cli_say("python: this viofs was built without libviofs for Python "
				     "(-Dpython=enabled).");
	while (words[count])
		count++;
	argv = calloc(count + 4, sizeof(*argv));
	if (!argv)
		return viofs_cli_say("python: out of memory");
	argv[0] = program;
	argv[1] = by_module;
	argv[2] = module;
	memcpy(argv + 3, words, count * sizeof(*argv));
	execv(program, argv);
	viofs_cli_say("python: %s: %s", program, strerror(errno));
	free(argv);
	return 1;
}
