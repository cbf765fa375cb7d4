/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A share on the library's bench: a folder, a file and a link, answers to be chosen, what was sent.
 */
#ifndef TESTS_UNIT_CLIENT_SHARE_H
#define TESTS_UNIT_CLIENT_SHARE_H

#include "client_bench.h"

#define HEAD sizeof(struct fuse_in_header)
#define FOLDER 10U
#define FILE_NODE 20U
#define LINK 30U
#define MADE 40U
#define FH 77U

struct client_share {
	struct viofs_session *session;
	struct viofs_err err;

	/* The device's: the answer to this opcode is this error; attributes of files. */
	uint32_t failing;
	int failure;
	uint64_t file_size, sought_offset;
	uint32_t file_type, made_type;
	struct fuse_file_lock lock_found;
	/* What the link says. */
	const char *link;
	size_t link_size;
};

extern struct client_share share;

/* The session is opened, of a device that speaks 7.@minor and agrees to @flags in INIT. */
void share_start(uint32_t minor, uint32_t flags);
void share_start_as(uint32_t uid, uint32_t minor, uint32_t flags);
/* It is closed, and holds no reference to any file by then. */
void share_end(void);

/* From now on the device answers @opcode with @error. */
void share_fails(uint32_t opcode, int error);
struct viofs_file *share_open(int oflags);

/* The body of the last request, which was of @opcode, for @nodeid, and has @size bytes. */
const void *share_sent(uint32_t opcode, uint64_t nodeid, size_t size);

#define SENT(opcode, nodeid, what)                                                                 \
	assert_memory_equal(share_sent(opcode, nodeid, sizeof(what)), &what, sizeof(what))
#define SENT_TEXT(opcode, nodeid, text)                                                            \
	assert_memory_equal(share_sent(opcode, nodeid, sizeof(text)), text, sizeof(text))

#endif
