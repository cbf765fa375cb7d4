/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl's commands. */
#ifndef VIOFS_TOOLS_CTL_H
#define VIOFS_TOOLS_CTL_H

#include <jansson.h>
#include <stdbool.h>

struct viofs_fs;
struct viofs_pci_function;
struct viofs_source;

#define VIOFS_CTL_WORDS 2

/** struct viofs_ctl_line - what stands behind a command's name */
struct viofs_ctl_line {
	const char *words[VIOFS_CTL_WORDS]; /* NULL: not given */
	bool json;
	bool latency, since; /* of status */
	bool openmetrics;    /* of metrics */
	const char *output;  /* of metrics */
	bool http;           /* of metrics */
	bool batch;          /* of top, as are the next three */
	const char *frames, *interval, *sort;
};

/*
 * Each prints to standard output, or says on standard error what went wrong. Return: the exit
 * status.
 */
int viofs_ctl_list(bool json);
int viofs_ctl_show(const char *source, bool json);
int viofs_ctl_bind(const char *source);
int viofs_ctl_unbind(const char *source);
int viofs_ctl_status(const char *where, bool json);
/* @open: as OpenMetrics. @json: what they are made of: each status, with latencies. */
int viofs_ctl_metrics(const char *where, bool open, bool json);
/* The same into a file, whole or not at all. */
int viofs_ctl_metrics_into(const char *path, const char *where, bool open);
/* The same to one HTTP client, whose connection is standard input. */
int viofs_ctl_metrics_http(const char *where);
/* @since: what came since the last look of this kind. */
int viofs_ctl_latency(const char *where, bool json, bool since);
int viofs_ctl_top(const struct viofs_ctl_line *l);
/* @level: NULL: print it. */
int viofs_ctl_log_level(const char *mountpoint, const char *level, bool json);
int viofs_ctl_abort(const char *mountpoint);
int viofs_ctl_sync(const char *mountpoint);
int viofs_ctl_umount(const char *mountpoint);

/**
 * viofs_ctl_umount_helper() - as umount(8) calls umount.fuse.virtiofs-vfio. Return: the exit
 * status.
 */
int viofs_ctl_umount_helper(int argc, char **argv);

/** enum viofs_ctl_where - what may be said for a mount, beside its mount point and its source */
enum viofs_ctl_where {
	VIOFS_CTL_EXACT,
	VIOFS_CTL_IF_ANY, /* ... whose daemon may be dead */
	VIOFS_CTL_INSIDE, /* a file or folder in it */
};

/**
 * viofs_ctl_ask_all() - "status" of the daemon that @where names, or of all (NULL)
 * @all: gets an object for each, with "socket", the path where it was asked, in it.
 * Return: 0, or 1 where something went wrong, or none is the one that is meant; that has been said.
 */
int viofs_ctl_ask_all(const char *where, enum viofs_ctl_where how, json_t *all);

/** viofs_ctl_complain() - "viofsctl: TEXT" to standard error. Return: 1. */
int viofs_ctl_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** viofs_ctl_complain_to() - complaints go to @text from now on; NULL, 0: to standard error. */
void viofs_ctl_complain_to(char *text, size_t size);

/** viofs_ctl_complaint() - the first one; NULL: there was none. */
const char *viofs_ctl_complaint(void);

/**
 * viofs_ctl_clean() - all strings in @value as they can be printed on a terminal
 * Of text in the JSON form (base/text.h) that is the name form.
 */
void viofs_ctl_clean(json_t *value);

/** viofs_ctl_print_json() - indented, and freed. Return: 0, or 1 where memory ran out. */
int viofs_ctl_print_json(json_t *value);

/** viofs_ctl_add_pci() - the name and the capabilities of @f, as libpci has them, into @o. */
void viofs_ctl_add_pci(json_t *o, const struct viofs_pci_function *f);

/** viofs_ctl_print_device() - what `show` has collected. Return: the exit status; @o is freed. */
int viofs_ctl_print_device(json_t *o, bool json);

/** viofs_ctl_queue_sizes() - as a JSON array. */
json_t *viofs_ctl_queue_sizes(const struct viofs_fs *fs);

/** viofs_ctl_show_socket() - `show` of a vhost-user back end. @source: as the user named it. */
int viofs_ctl_show_socket(const struct viofs_source *s, const char *source, bool json);

#endif
