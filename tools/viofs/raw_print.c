/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request that was made here and its reply, decoded by raw_message.c.
 *
 * The program's one thread. It only reads the request, which stays the caller's.
 */
#include "raw.h"
#include "raw_message.h"

#include <string.h>

void viofs_raw_print_request(const struct viofs_raw *r, FILE *out)
{
	fprintf(out, "%s (%u) nodeid %llu, uid %u, gid %u, pid %u\n",
		viofs_fuse_opcode_name(r->op->opcode), r->op->opcode,
		(unsigned long long)r->request.nodeid, r->request.uid, r->request.gid,
		r->request.pid);
	viofs_raw_put_request(r->op, viofs_raw_args(r, r->op), r->args, r->request.args_size, out);
	if (r->in_size)
		viofs_raw_put_bytes(r->in, r->in_size, out);
}

static void print_data(const struct viofs_raw *r, FILE *out)
{
	if (!r->out_size)
		return;
	fprintf(out, "data: %u bytes\n", r->out_size);
	viofs_raw_put_data(r->op, r->out, r->out_size, out);
}

void viofs_raw_print_reply(const struct viofs_raw *r, FILE *out)
{
	if (r->op->flags & VIOFS_RAW_NO_REPLY) {
		fputs("sent; there is no reply to it\n", out);
		return;
	}
	if (!r->answered) {
		fputs("no answer\n", out);
		return;
	}
	fprintf(out, "reply: ");
	if (r->done.error)
		fprintf(out, "error %d, %s", r->done.error, strerror(-r->done.error));
	else
		fprintf(out, "%u bytes", r->done.size);
	fprintf(out, ", after %.1f us\n", (double)r->ns / 1000);
	if (r->done.fault)
		fprintf(out, "the device broke the rules: %s\n", r->done.fault);
	viofs_raw_put_fields(r->op->reply, r->reply, r->reply_size, out);
	print_data(r, out);
}
