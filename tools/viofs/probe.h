/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a device can: tried, noted, printed. */
#ifndef VIOFS_TOOLS_PROBE_H
#define VIOFS_TOOLS_PROBE_H

#include "cli.h"
#include "raw.h"

#define VIOFS_PROBE_ROWS 64
#define VIOFS_PROBE_QUIRKS 32

/** struct viofs_probe_row - an opcode, and what came of it */
struct viofs_probe_row {
	uint32_t opcode;
	bool tried, supported;
	int error;  /* negative errno of the first answer, 0 */
	int64_t ns; /* of the first answer; 0: there is none */
	char note[96];
};

/** struct viofs_probe - one run */
struct viofs_probe {
	struct viofs_cli *cli;
	struct viofs_raw raw;
	bool read_only, lost;
	char top[128];        /* the directory of the run's own, from the root */
	char name[64];        /* its last component */
	uint64_t parent, dir; /* nodeids */
	uint64_t parent_lookups;
	struct viofs_probe_row rows[VIOFS_PROBE_ROWS];
	unsigned int row_count;
	char quirks[VIOFS_PROBE_QUIRKS][128];
	unsigned int quirk_count;
	struct viofs_dev_info dev;
	struct viofs_session_info session;
	int64_t close_ms; /* what the session's end took: DESTROY is in it */
};

/** viofs_probe_row() - of @opcode; made where it is missing. */
struct viofs_probe_row *viofs_probe_row(struct viofs_probe *p, uint32_t opcode);

/** viofs_probe_quirk() - something that a driver has to know. */
void viofs_probe_quirk(struct viofs_probe *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * viofs_probe_try() - a request, noted in its row
 * @fmt: words as the shell's raw takes them, with single blanks.
 * Return: 0; a negative errno: the device's, or -ENODEV: it is lost, and nothing more is tried.
 */
int viofs_probe_try(struct viofs_probe *p, uint32_t opcode, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** viofs_probe_expect() - where @good isn't true a note is made, and the opcode counts as not
 * supported. */
void viofs_probe_expect(struct viofs_probe *p, uint32_t opcode, bool good, const char *what);

/* probe_steps.c: what is tried, in an order that each needs little of the others. */
void viofs_probe_looking(struct viofs_probe *p);
void viofs_probe_changing(struct viofs_probe *p);

/* probe_locks.c */
/** viofs_probe_locks() - GETLK, SETLK, SETLKW, and INTERRUPT of one that waits. */
void viofs_probe_locks(struct viofs_probe *p, uint64_t node, uint64_t fh);

/* probe_print.c */
void viofs_probe_print(const struct viofs_probe *p);
int viofs_probe_print_json(const struct viofs_probe *p);

#endif
