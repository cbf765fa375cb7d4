/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Captured packets for people.
 *
 * Nothing in a packet is believed: names are made harmless, and no more is decoded than was kept.
 */
#include "capture_print.h"
#include "base/util.h"
#include "capture_filter.h"
#include "format.h"
#include "raw.h"
#include "raw_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUEST_HEAD 40U
#define REPLY_HEAD 16U
#define US 1000.0

static void print_time(uint64_t time, FILE *out)
{
	time_t s = (time_t)(time / VIOFS_NSEC_PER_SEC);
	char text[16] = "?";
	struct tm tm;

	if (localtime_r(&s, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fprintf(out, "%s.%09llu ", text, (unsigned long long)(time % VIOFS_NSEC_PER_SEC));
}

static const char *args_of(const struct viofs_raw_op *op, const struct viofs_packet *p)
{
	bool longer = p->flags & VIOFS_PACKET_LONG_SETXATTR && op->flags & VIOFS_RAW_VALUE_IN;

	return longer ? VIOFS_RAW_LONG_SETXATTR : op->args;
}

static uint32_t struct_size(const char *list)
{
	uint32_t all = 0;

	for (const char *at = strchr(list, ':'); at; at = strchr(at + 1, ':'))
		all += (uint32_t)strtoul(at + 1, NULL, 10);
	return all;
}

/* The first name of a request, as far as it was kept. */
static void print_name(const struct viofs_captured *c, FILE *out)
{
	const struct viofs_raw_op *op = viofs_raw_row(c->packet.opcode);
	uint32_t at = REQUEST_HEAD;
	char text[VIOFS_FORMAT_NAME_MAX], *name;

	if (!op || !*op->names)
		return;
	at += struct_size(args_of(op, &c->packet));
	if (at >= c->captured)
		return;
	name = strndup((const char *)c->message + at, c->captured - at);
	fprintf(out, " %s", viofs_format_name(name ? name : "", text, sizeof(text)));
	free(name);
}

static void print_where(const struct viofs_packet *p, FILE *out)
{
	const char *name = viofs_fuse_opcode_name(p->opcode);

	fprintf(out, " queue %u slot %u %s", p->queue, p->slot, name ? name : "?");
}

static void print_error(int error, FILE *out)
{
	const char *name = strerrorname_np(-error);

	if (error && name)
		fprintf(out, " %s", name);
	else if (error)
		fprintf(out, " error %d", error);
}

static void print_message(const struct viofs_captured *c, FILE *out)
{
	const struct viofs_packet *p = &c->packet;
	char text[VIOFS_FORMAT_NAME_MAX], *what;

	switch (p->kind) {
	case VIOFS_PACKET_REQUEST:
		print_where(p, out);
		fprintf(out, " nodeid %llu uid %u pid %u, %u bytes", (unsigned long long)p->nodeid,
			p->uid, p->pid, p->len);
		print_name(c, out);
		break;
	case VIOFS_PACKET_REPLY:
		print_where(p, out);
		print_error(p->error, out);
		fprintf(out, " %u bytes, %.1f us, %.1f in the device", p->len,
			(double)p->total_ns / US, (double)p->device_ns / US);
		break;
	case VIOFS_PACKET_ANSWER:
		fprintf(out, " unique %llu", (unsigned long long)p->kernel_unique);
		print_error(p->error, out);
		break;
	case VIOFS_PACKET_NOTIFICATION:
		fprintf(out, " code %d, %u bytes", p->error, p->len);
		break;
	case VIOFS_PACKET_FAULT:
		print_where(p, out);
		what = strndup((const char *)c->message, c->captured);
		fprintf(out, " %s", viofs_format_name(what ? what : "", text, sizeof(text)));
		free(what);
		break;
	default:
		fprintf(out, " queue %u", p->queue);
		if (p->len > 1)
			fprintf(out, ", %u times", p->len);
	}
}

static void print_request(const struct viofs_captured *c, const struct viofs_raw_op *op, FILE *out)
{
	if (c->captured > REQUEST_HEAD)
		viofs_raw_put_request(op, args_of(op, &c->packet), c->message + REQUEST_HEAD,
				      c->captured - REQUEST_HEAD, out);
}

static void print_reply(const struct viofs_captured *c, const struct viofs_raw_op *op, FILE *out)
{
	uint32_t left = c->captured > REPLY_HEAD ? c->captured - REPLY_HEAD : 0;
	uint32_t fixed = VIOFS_MIN(c->packet.fixed, left);

	viofs_raw_put_fields(op->reply, c->message + REPLY_HEAD, fixed, out);
	if (left > fixed)
		viofs_raw_put_data(op, c->message + REPLY_HEAD + fixed, left - fixed, out);
}

/* All fields, as viofs raw shows them. */
static void print_all(const struct viofs_captured *c, FILE *out)
{
	const struct viofs_packet *p = &c->packet;
	const struct viofs_raw_op *op = viofs_raw_row(p->opcode);

	if (p->kind == VIOFS_PACKET_REQUEST || p->kind == VIOFS_PACKET_REPLY) {
		fprintf(out, "  %-18s %llu\n  %-18s %llu\n", "unique",
			(unsigned long long)p->device_unique, "kernel's unique",
			(unsigned long long)p->kernel_unique);
		fprintf(out, "  %-18s %u\n", "gid", p->gid);
	}
	if (p->kind == VIOFS_PACKET_REQUEST)
		fprintf(out, "  %-18s %.1f us\n", "waited", (double)p->waited_ns / US);
	if (p->kind == VIOFS_PACKET_REQUEST && op)
		print_request(c, op, out);
	else if (p->kind == VIOFS_PACKET_REPLY && op)
		print_reply(c, op, out);
	else if (p->kind == VIOFS_PACKET_NOTIFICATION)
		viofs_raw_put_bytes(c->message, c->captured, out);
	if (c->captured < p->len && p->kind != VIOFS_PACKET_INTERRUPT &&
	    p->kind != VIOFS_PACKET_KICK)
		fprintf(out, "  ... %u bytes were not kept\n", p->len - c->captured);
}

void viofs_capture_print(const struct viofs_captured *c, const char *ring, bool all, FILE *out)
{
	if (c->lost)
		fprintf(out, "... %llu lost of %s\n", (unsigned long long)c->lost, ring);
	print_time(c->time, out);
	fprintf(out, "%s %s", ring, viofs_packet_kind_name(c->packet.kind));
	print_message(c, out);
	fputc('\n', out);
	if (all)
		print_all(c, out);
}
