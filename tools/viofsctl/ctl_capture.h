/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl capture, and what Wireshark starts. */
#ifndef VIOFS_TOOLS_CTL_CAPTURE_H
#define VIOFS_TOOLS_CTL_CAPTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** struct viofs_capture_order - what was asked for */
struct viofs_capture_order {
	const char *where;
	const char *file;   /* to be written; NULL: to the terminal */
	const char *filter; /* NULL: all */
	uint32_t snap;
	uint64_t count; /* 0: no limit */
	double seconds; /* likewise */
	bool data;      /* contents of files */
	bool all;       /* all fields of each packet */
};

#define VIOFS_CAPTURE_ORDER_SNAP 512U

/** viofs_ctl_capture() - @argv: from the word "capture" on. Return: the exit status. */
int viofs_ctl_capture(int argc, char **argv);

/** viofs_ctl_capture_run() - Return: the exit status. */
int viofs_ctl_capture_run(const struct viofs_capture_order *o);

/** viofs_ctl_extcap() - as Wireshark's dumpcap calls it (extcap(4)). Return: the exit status. */
int viofs_ctl_extcap(int argc, char **argv);

#endif
