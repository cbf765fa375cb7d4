/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs probe: every opcode, tried on a directory of the run's own.
 *
 * The program's one thread; what was found is struct viofs_probe's. INIT, and DESTROY at the end,
 * are the session's. All else is single requests, so that each opcode's row shows what the device
 * does, and not what the library makes of it. No request is malformed on purpose: some devices
 * crash by that.
 */
#include "probe.h"
#include "format.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No longer wait for an opcode than this. */
#define ANSWER_MS 5000

struct viofs_probe_row *viofs_probe_row(struct viofs_probe *p, uint32_t opcode)
{
	for (unsigned int i = 0; i < p->row_count; i++)
		if (p->rows[i].opcode == opcode)
			return &p->rows[i];
	if (p->row_count == VIOFS_PROBE_ROWS)
		return &p->rows[VIOFS_PROBE_ROWS - 1];
	p->rows[p->row_count].opcode = opcode;
	return &p->rows[p->row_count++];
}

void viofs_probe_quirk(struct viofs_probe *p, const char *fmt, ...)
{
	va_list ap;

	if (p->quirk_count == VIOFS_PROBE_QUIRKS)
		return;
	va_start(ap, fmt);
	vsnprintf(p->quirks[p->quirk_count++], sizeof(p->quirks[0]), fmt, ap);
	va_end(ap);
}

static void note_answer(struct viofs_probe *p, struct viofs_probe_row *row)
{
	const struct viofs_raw *r = &p->raw;

	if (r->done.fault)
		viofs_probe_quirk(p, "%s: %s", viofs_fuse_opcode_name(row->opcode), r->done.fault);
	else if (!r->done.error && r->reply_size < r->request.reply_size)
		viofs_probe_quirk(p, "%s: a reply of %u bytes where %u are due",
				  viofs_fuse_opcode_name(row->opcode), r->reply_size,
				  r->request.reply_size);
	if (row->tried)
		return;
	row->tried = true;
	row->error = r->done.error;
	row->ns = r->ns;
	row->supported = r->done.error != -ENOSYS && r->done.error != -EOPNOTSUPP && !r->done.fault;
	if (r->done.error)
		snprintf(row->note, sizeof(row->note), "%s", strerror(-r->done.error));
}

int viofs_probe_try(struct viofs_probe *p, uint32_t opcode, const char *fmt, ...)
{
	struct viofs_probe_row *row = viofs_probe_row(p, opcode);
	char text[512], *words[24], *save, *word;
	int count = 0, rc;
	va_list ap;

	if (p->lost)
		return -ENODEV;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (word = strtok_r(text, " ", &save); word && count < 24;
	     word = strtok_r(NULL, " ", &save))
		words[count++] = word;
	rc = viofs_raw_build(&p->raw, viofs_raw_row(opcode), words, count);
	if (!rc)
		rc = viofs_raw_send(&p->raw, ANSWER_MS);
	if (rc == -ETIMEDOUT || rc == -ENODEV) {
		/* Its memory may be written later: it is not used again. */
		p->lost = true;
		row->tried = true;
		snprintf(row->note, sizeof(row->note),
			 rc == -ENODEV ? "the device is lost" : "no answer");
		return -ENODEV;
	}
	if (rc) {
		snprintf(row->note, sizeof(row->note), "not sent: %s", strerror(-rc));
		return rc;
	}
	if (!p->raw.answered) {
		row->tried = row->supported = true;
		snprintf(row->note, sizeof(row->note), "sent; it has no reply");
		return 0;
	}
	note_answer(p, row);
	return p->raw.done.error;
}

void viofs_probe_expect(struct viofs_probe *p, uint32_t opcode, bool good, const char *what)
{
	struct viofs_probe_row *row = viofs_probe_row(p, opcode);

	if (good || p->lost || !row->supported)
		return;
	row->supported = false;
	snprintf(row->note, sizeof(row->note), "%s", what);
	viofs_probe_quirk(p, "%s: %s", viofs_fuse_opcode_name(opcode), what);
}

/* A directory nobody has. Return: 0; 1: said. */
static int make_dir(struct viofs_probe *p, const char *parent)
{
	struct viofs_err err;
	int rc;

	snprintf(p->name, sizeof(p->name), "viofs-probe-%d-%08x", (int)getpid(),
		 (unsigned int)random());
	if ((size_t)snprintf(p->top, sizeof(p->top), "%s/%s", strcmp(parent, "/") ? parent : "",
			     p->name) >= sizeof(p->top))
		return viofs_cli_fail(p->cli, parent, -ENAMETOOLONG, NULL);
	rc = viofs_path_mkdir(p->cli->session, p->top, 0, 0700, &err);
	if (rc)
		return viofs_cli_fail(p->cli, p->top, rc, &err);
	viofs_cli_say("probe: works in %s, and removes it at the end.", p->top);
	return 0;
}

/* The parent's nodeid, by lookups of our own. */
static int find_parent(struct viofs_probe *p, const char *parent)
{
	char path[128], *save, *part;
	uint64_t at = 1, below;
	int rc;

	snprintf(path, sizeof(path), "%s", parent);
	for (part = strtok_r(path, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		rc = viofs_probe_try(p, 1, "nodeid=%llu name=%s", (unsigned long long)at, part);
		if (rc)
			return viofs_cli_fail(p->cli, parent, rc, NULL);
		below = viofs_raw_get(&p->raw, "nodeid");
		if (at != 1)
			viofs_probe_try(p, 2, "nodeid=%llu nlookup=1", (unsigned long long)at);
		at = below;
	}
	p->parent = at;
	return 0;
}

/* Whatever the steps have left. */
static void remove_all(struct viofs_probe *p)
{
	static const char *const names[] = { "file", "file2", "renamed", "link",
					     "node", "sym",   "sub",     "tmp" };
	struct viofs_err err;
	struct stat st;
	char path[192];
	int rc;

	if (viofs_dev_failed(p->cli->dev))
		return;
	viofs_session_drop(p->cli->session);
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", p->top, names[i]);
		if (viofs_path_stat(p->cli->session, path, VIOFS_PATH_NO_FOLLOW, &st, NULL))
			continue;
		if (S_ISDIR(st.st_mode))
			viofs_path_rmdir(p->cli->session, path, 0, NULL);
		else
			viofs_path_unlink(p->cli->session, path, 0, NULL);
	}
	rc = viofs_path_stat(p->cli->session, p->top, VIOFS_PATH_NO_FOLLOW, &st, &err);
	if (!rc)
		rc = viofs_path_rmdir(p->cli->session, p->top, 0, &err);
	if (rc)
		viofs_cli_fail(p->cli, p->top, rc, &err);
}

static int try_all(struct viofs_probe *p, const char *parent)
{
	int status = find_parent(p, parent);

	if (status)
		return status;
	if (!p->read_only && make_dir(p, parent))
		return 1;
	viofs_probe_looking(p);
	if (!p->read_only) {
		viofs_probe_changing(p);
		remove_all(p);
	}
	if (p->parent > 1)
		viofs_probe_try(p, 2, "nodeid=%llu nlookup=1", (unsigned long long)p->parent);
	return 0;
}

int viofs_cli_probe(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	static struct viofs_probe p;
	char *parent = viofs_cli_path(cli, args->count ? args->paths[0] : "/");
	struct viofs_err err;
	int status;

	memset(&p, 0, sizeof(p));
	p.cli = cli;
	p.read_only = args->has[VIOFS_OPT_READ_ONLY];
	p.dev.size = sizeof(p.dev);
	p.session.size = sizeof(p.session);
	srandom((unsigned int)getpid());
	viofs_dev_info_get(cli->dev, &p.dev);
	viofs_session_info_get(cli->session, &p.session);
	if (viofs_raw_open(&p.raw, cli->session, &err)) {
		free(parent);
		return viofs_cli_say("%s", err.text);
	}
	status = try_all(&p, parent);
	viofs_raw_close(&p.raw);
	free(parent);
	if (viofs_dev_failed(cli->dev))
		viofs_probe_quirk(&p, "the device was lost: %s", viofs_dev_failed(cli->dev));
	p.close_ms = viofs_cli_session_close(cli);
	if (status)
		return status;
	if (p.lost)
		cli->status = 1;
	if (args->has[VIOFS_OPT_JSON])
		return viofs_probe_print_json(&p);
	viofs_probe_print(&p);
	return 0;
}
