/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the strictest real back ends want a request laid out. */
/*
 * The standard leaves the framing free; what is checked here is what one or the other back end in
 * use relies on, and so what a driver has to do to work with all of them:
 *
 *   SPDK      leading pieces add up to the message exactly; each struct and string lies in one
 * piece; WRITE data apart from the header; out header a piece of 16 bytes; READDIR's data one
 * piece; GETXATTR with two writable pieces at least; 129 pieces at most BlueField header, then
 * arguments and names in the second piece, data from the third on; the reply's structs in the
 * second writable piece; FORGET and BATCH_FORGET in one piece, nothing writable virtiofsd 16
 * writable bytes for whatever is answered; header.len 1 MiB + 4096 at most virtio    FORGET,
 * BATCH_FORGET, INTERRUPT on hiprio and nothing else there
 */
#include "dev.h"

#include <string.h>

#define HEADER sizeof(struct fuse_in_header)
#define OUT_HEADER sizeof(struct fuse_out_header)
#define PIECES_MAX 129U
#define LEN_MAX ((1U << 20) + 4096)

static bool is_hiprio(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

static bool has_no_reply(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_NOTIFY_REPLY;
}

/* Bytes of fixed arguments and names, which lie in the second piece. */
static uint32_t argument_bytes(const struct dev_request *r)
{
	if (r->head->opcode == FUSE_WRITE)
		return sizeof(struct fuse_write_in);
	if (r->head->opcode == FUSE_IOCTL)
		return sizeof(struct fuse_ioctl_in);
	return r->arg_len;
}

static const char *check_readable(const struct dev_request *r)
{
	const struct iovec *v = r->chain.pieces;
	uint32_t args = argument_bytes(r);

	if (has_no_reply(r->head->opcode))
		return r->chain.readable == 1 ? NULL : "a message without reply in several pieces";
	if (v[0].iov_len != HEADER && !is_hiprio(r->head->opcode))
		return "the header is no piece of its own";
	if (is_hiprio(r->head->opcode) || !args)
		return NULL;
	if (r->chain.readable < 2 || v[1].iov_len != args)
		return "arguments and names are not the second piece";
	if (args == r->arg_len && r->chain.readable != 2)
		return "pieces behind the arguments";
	return NULL;
}

static const char *check_writable(const struct dev_request *r)
{
	const struct iovec *v = &r->chain.pieces[r->chain.readable];
	uint32_t size;

	if (has_no_reply(r->head->opcode))
		return r->chain.writable ? "room for a reply that there is none to" : NULL;
	if (!r->chain.writable)
		return r->head->opcode == FUSE_INTERRUPT ? NULL : "no room for a reply";
	if (v[0].iov_len != OUT_HEADER)
		return "the reply's header is no piece of its own";
	switch (r->head->opcode) {
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		return r->chain.writable < 2 ? "no piece for the attribute" : NULL;
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_READ:
		size = ((const struct fuse_read_in *)r->arg)->size;
		if (r->room != OUT_HEADER + size)
			return "room for another size than asked for";
		return r->head->opcode != FUSE_READ && r->chain.writable != 2
			       ? "READDIR's data is not one piece"
			       : NULL;
	case FUSE_IOCTL:
		return r->chain.writable > 3 ? "IOCTL's data is in several pieces" : NULL;
	default:
		return r->chain.writable > 2 ? "the reply's struct is in several pieces" : NULL;
	}
}

void dev_framing_check(const struct dev_request *r)
{
	bool hiprio = !r->queue->index;
	const char *fault = NULL;

	if (r->head->len > LEN_MAX + 80)
		fault = "a message longer than 1 MiB";
	else if (r->chain.readable + r->chain.writable > PIECES_MAX)
		fault = "more than 129 pieces";
	else if (is_hiprio(r->head->opcode) != hiprio)
		fault = hiprio ? "on the hiprio queue" : "not on the hiprio queue";
	if (!fault)
		fault = check_readable(r);
	if (!fault)
		fault = check_writable(r);
	if (fault)
		dev_driver_fault("%s: %s (%u readable and %u writable pieces, first %zu)",
				 dev_fuse_name(r->head->opcode), fault, r->chain.readable,
				 r->chain.writable, r->chain.pieces[0].iov_len);
}
