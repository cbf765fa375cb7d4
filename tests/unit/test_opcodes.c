/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shape of every opcode, against numbers written down apart from the table under test. */
#include "base/util.h"
#include "fuse/opcodes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PAGE 4096U
#define ROOM 1300U /* what requests with a size field ask for below */

enum {
	H = 1 << 0,     /* hiprio */
	N = 1 << 1,     /* no reply, no writable descriptor */
	D = 1 << 2,     /* what follows the struct is data */
	BLOCK = 1 << 3, /* the reply may wait for a page lock */
	WAIT = 1 << 4,  /* the device may answer after hours */
};

struct expected {
	uint32_t opcode;
	const char *name;
	uint32_t args;       /* the struct after the header */
	uint32_t rest;       /* bytes of names or data put behind it here */
	uint32_t fixed;      /* structs of the reply */
	uint32_t reply_data; /* room for what may be shorter */
	unsigned int flags;
	int size_at; /* offset in the struct of the size that the reply may have, -1: none */
};

/* uapi 7.45; sizes as bytes on the wire, not as sizeof. */
static const struct expected table[] = {
	{ 1, "LOOKUP", 0, 6, 128, 0, 0, -1 },
	{ 2, "FORGET", 8, 0, 0, 0, H | N, -1 },
	{ 3, "GETATTR", 16, 0, 104, 0, 0, -1 },
	{ 4, "SETATTR", 88, 0, 104, 0, 0, -1 },
	{ 5, "READLINK", 0, 0, 0, PAGE - 1, 0, -1 },
	{ 6, "SYMLINK", 0, 12, 128, 0, 0, -1 },
	{ 8, "MKNOD", 16, 4, 128, 0, 0, -1 },
	{ 9, "MKDIR", 8, 4, 128, 0, 0, -1 },
	{ 10, "UNLINK", 0, 4, 0, 0, 0, -1 },
	{ 11, "RMDIR", 0, 4, 0, 0, 0, -1 },
	{ 12, "RENAME", 8, 8000, 0, 0, 0, -1 },
	{ 13, "LINK", 8, 4, 128, 0, 0, -1 },
	{ 14, "OPEN", 8, 0, 16, 0, 0, -1 },
	{ 15, "READ", 40, 0, 0, ROOM, BLOCK, 16 },
	{ 16, "WRITE", 40, 5000, 8, 0, D, -1 },
	{ 17, "STATFS", 0, 0, 80, 0, 0, -1 },
	{ 18, "RELEASE", 24, 0, 0, 0, 0, -1 },
	{ 20, "FSYNC", 16, 0, 0, 0, 0, -1 },
	{ 21, "SETXATTR", 16, 70, 0, 0, 0, -1 },
	{ 22, "GETXATTR", 8, 7, 0, ROOM, 0, 0 },
	{ 23, "LISTXATTR", 8, 0, 0, ROOM, 0, 0 },
	{ 24, "REMOVEXATTR", 0, 7, 0, 0, 0, -1 },
	{ 25, "FLUSH", 24, 0, 0, 0, 0, -1 },
	{ 27, "OPENDIR", 8, 0, 16, 0, 0, -1 },
	{ 28, "READDIR", 40, 0, 0, ROOM, 0, 16 },
	{ 29, "RELEASEDIR", 24, 0, 0, 0, 0, -1 },
	{ 30, "FSYNCDIR", 16, 0, 0, 0, 0, -1 },
	{ 31, "GETLK", 48, 0, 24, 0, 0, -1 },
	{ 32, "SETLK", 48, 0, 0, 0, 0, -1 },
	{ 33, "SETLKW", 48, 0, 0, 0, WAIT, -1 },
	{ 34, "ACCESS", 8, 0, 0, 0, 0, -1 },
	{ 35, "CREATE", 16, 4, 144, 0, 0, -1 },
	{ 36, "INTERRUPT", 8, 0, 0, 0, H, -1 },
	{ 37, "BMAP", 16, 0, 8, 0, 0, -1 },
	{ 39, "IOCTL", 32, 64, 16, PAGE, D, -1 },
	{ 40, "POLL", 24, 0, 8, 0, 0, -1 },
	{ 41, "NOTIFY_REPLY", 40, 4096, 0, 0, D | N, -1 },
	{ 42, "BATCH_FORGET", 8, 32, 0, 0, H | N, -1 },
	{ 43, "FALLOCATE", 32, 0, 0, 0, 0, -1 },
	{ 44, "READDIRPLUS", 40, 0, 0, ROOM, 0, 16 },
	{ 45, "RENAME2", 16, 8, 0, 0, 0, -1 },
	{ 46, "LSEEK", 24, 0, 8, 0, 0, -1 },
	{ 47, "COPY_FILE_RANGE", 56, 0, 8, 0, 0, -1 },
	{ 50, "SYNCFS", 8, 0, 0, 0, 0, -1 },
	{ 51, "TMPFILE", 16, 4, 144, 0, 0, -1 },
	{ 52, "STATX", 24, 0, 288, 0, 0, -1 },
	{ 53, "COPY_FILE_RANGE_64", 56, 0, 8, 0, 0, -1 },
};

static const struct viofs_fuse_conn plain = { .minor = 38,
					      .page_size = PAGE,
					      .setxattr_ext = true };

static union {
	struct fuse_in_header head;
	uint8_t bytes[1 << 17];
} message;

static size_t make(uint32_t opcode, size_t after_header)
{
	size_t len = sizeof(message.head) + after_header;

	memset(&message, 0, len);
	message.head.opcode = opcode;
	message.head.len = (uint32_t)len;
	message.head.unique = 2;
	return len;
}

static void put32(unsigned int at, uint32_t value)
{
	memcpy(message.bytes + sizeof(message.head) + at, &value, sizeof(value));
}

static struct viofs_fuse_shape classify(const struct viofs_fuse_conn *conn, size_t len)
{
	struct viofs_fuse_shape s = { 0 };

	assert_int_equal(viofs_fuse_classify(conn, &message.head, len, &s), 0);
	return s;
}

/* Refused, and the answer is left alone. */
static void refused(const struct viofs_fuse_conn *conn, size_t len, int rc)
{
	struct viofs_fuse_shape s, before;

	memset(&s, 0x5a, sizeof(s));
	before = s;
	assert_int_equal(viofs_fuse_classify(conn, &message.head, len, &s), rc);
	assert_memory_equal(&s, &before, sizeof(s));
}

static void every_opcode_has_its_shape(void **state)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(table); i++) {
		const struct expected *e = &table[i];
		size_t len = make(e->opcode, e->args + e->rest);
		struct viofs_fuse_shape s;

		if (e->size_at >= 0)
			put32((unsigned int)e->size_at, ROOM);
		s = classify(&plain, len);
		assert_int_equal(s.opcode, e->opcode);
		assert_string_equal(viofs_fuse_opcode_name(e->opcode), e->name);
		assert_int_equal(s.args, e->args + (e->flags & D ? 0 : e->rest));
		assert_int_equal(s.data, e->flags & D ? e->rest : 0);
		assert_int_equal(s.fixed, e->fixed);
		assert_int_equal(s.reply_data, e->reply_data);
		assert_int_equal(s.hiprio, !!(e->flags & H));
		assert_int_equal(s.replies, !(e->flags & N));
		assert_int_equal(s.may_block, !!(e->flags & BLOCK));
		assert_int_equal(s.may_wait, !!(e->flags & WAIT));
		assert_true(s.fixed <= VIOFS_FUSE_FIXED_MAX);
		assert_true(e->args <= VIOFS_FUSE_ARGS_MAX);
	}
}

/* flock(2) and lockf(3) unlock by the opcode that may wait, and that never waits. */
static void an_unlock_never_waits(void **state)
{
	static const uint32_t types[] = { F_RDLCK, F_WRLCK, F_UNLCK };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(types); i++) {
		size_t len = make(FUSE_SETLKW, sizeof(struct fuse_lk_in));

		put32(offsetof(struct fuse_lk_in, lk.type), types[i]);
		assert_int_equal(classify(&plain, len).may_wait, types[i] != F_UNLCK);
	}
}

/* After these a FORGET may give back the room of a file. */
static void what_deletes_is_known(void **state)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(table); i++) {
		uint32_t o = table[i].opcode;

		assert_int_equal(classify(&plain, make(o, table[i].args)).unlinks,
				 o == FUSE_UNLINK || o == FUSE_RMDIR || o == FUSE_RENAME ||
					 o == FUSE_RENAME2);
	}
}

static void a_request_shorter_than_its_struct_is_refused(void **state)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(table); i++) {
		if (!table[i].args)
			continue;
		refused(&plain, make(table[i].opcode, table[i].args - 1), -EPROTO);
		refused(&plain, make(table[i].opcode, 0), -EPROTO);
	}
}

static void the_struct_alone_is_enough(void **state)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(table); i++) {
		struct viofs_fuse_shape s = classify(&plain, make(table[i].opcode, table[i].args));

		assert_int_equal(s.args, table[i].args);
		assert_int_equal(s.data, 0);
	}
}

static bool is_known(uint32_t opcode)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(table); i++)
		if (table[i].opcode == opcode)
			return true;
	return false;
}

static void what_is_not_in_the_table_is_not_forwarded(void **state)
{
	static const uint32_t big[] = {
		255, 256, 257, 4095, 4097, 0x10001, 0x80000001, UINT32_MAX
	};

	for (uint32_t opcode = 0; opcode < 200; opcode++)
		if (!is_known(opcode))
			refused(&plain, make(opcode, 100), -ENOSYS);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(big); i++) {
		refused(&plain, make(big[i], 100), -ENOSYS);
		assert_null(viofs_fuse_opcode_name(big[i]));
	}
	assert_null(viofs_fuse_opcode_name(0));
	assert_null(viofs_fuse_opcode_name(7));
}

static void the_relays_own_and_dax_are_not_forwarded(void **state)
{
	static const uint32_t ours[] = { FUSE_INIT, FUSE_DESTROY, CUSE_INIT, FUSE_SETUPMAPPING,
					 FUSE_REMOVEMAPPING };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(ours); i++) {
		refused(&plain, make(ours[i], 104), -ENOSYS);
		assert_non_null(viofs_fuse_opcode_name(ours[i]));
	}
	assert_string_equal(viofs_fuse_opcode_name(4096), "CUSE_INIT");
	assert_string_equal(viofs_fuse_opcode_name(26), "INIT");
}

static void a_length_that_disagrees_with_the_header_is_refused(void **state)
{
	size_t len = make(FUSE_GETATTR, 16);

	refused(&plain, len - 1, -EPROTO);
	refused(&plain, len + 1, -EPROTO);
	message.head.len = 0;
	refused(&plain, len, -EPROTO);
	/* shorter than a header, whatever the header says */
	message.head.len = 39;
	refused(&plain, 39, -EPROTO);
	message.head.len = 0;
	refused(&plain, 0, -EPROTO);
}

static void setxattr_has_8_bytes_without_the_extension(void **state)
{
	struct viofs_fuse_conn old = plain;
	struct viofs_fuse_shape s;

	old.setxattr_ext = false;
	s = classify(&old, make(FUSE_SETXATTR, 8));
	assert_int_equal(s.args, 8);
	refused(&old, make(FUSE_SETXATTR, 7), -EPROTO);
	classify(&plain, make(FUSE_SETXATTR, 16));
	refused(&plain, make(FUSE_SETXATTR, 15), -EPROTO);
	/* name and 64 KiB of value are arguments, in one piece */
	s = classify(&plain, make(FUSE_SETXATTR, 16 + 256 + 65536));
	assert_int_equal(s.args, 16 + 256 + 65536);
	assert_int_equal(s.data, 0);
	assert_int_equal(s.fixed + s.reply_data, 0);
}

static void getxattr_without_a_size_asks_for_the_size(void **state)
{
	static const uint32_t ops[] = { FUSE_GETXATTR, FUSE_LISTXATTR };

	for (size_t i = 0; i < 2; i++) {
		struct viofs_fuse_shape s = classify(&plain, make(ops[i], 8 + 10));

		assert_int_equal(s.fixed, 8);
		assert_int_equal(s.reply_data, 0);
		make(ops[i], 8 + 10);
		put32(0, 65536);
		s = classify(&plain, message.head.len);
		assert_int_equal(s.fixed, 0);
		assert_int_equal(s.reply_data, 65536);
	}
}

static void readlink_has_room_for_a_page_less_one(void **state)
{
	struct viofs_fuse_conn arm = plain;

	arm.page_size = 65536;
	assert_int_equal(classify(&arm, make(FUSE_READLINK, 0)).reply_data, 65535);
	assert_int_equal(classify(&plain, make(FUSE_READLINK, 0)).reply_data, 4095);
}

static void ioctl_has_room_for_a_page_at_least(void **state)
{
	struct viofs_fuse_shape s;

	make(FUSE_IOCTL, 32 + 8);
	put32(24, 8);   /* in_size */
	put32(28, 100); /* out_size */
	s = classify(&plain, message.head.len);
	assert_int_equal(s.args, 32);
	assert_int_equal(s.data, 8);
	assert_int_equal(s.fixed, 16);
	assert_int_equal(s.reply_data, 4096);
	put32(28, 16383);
	assert_int_equal(classify(&plain, message.head.len).reply_data, 16383);
}

static void sizes_are_the_requests_own(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 4096, 1 << 20, UINT32_MAX };
	static const uint32_t ops[] = { FUSE_READ, FUSE_READDIR, FUSE_READDIRPLUS };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(sizes); i++)
		for (size_t j = 0; j < VIOFS_ARRAY_SIZE(ops); j++) {
			size_t len = make(ops[j], 40);

			put32(16, sizes[i]);
			assert_int_equal(classify(&plain, len).reply_data, sizes[i]);
		}
	/* WRITE: what lies behind the struct is what counts */
	for (uint32_t n = 0; n < 100000; n += 33333) {
		struct viofs_fuse_shape s = classify(&plain, make(FUSE_WRITE, 40 + n));

		assert_int_equal(s.args, 40);
		assert_int_equal(s.data, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_opcode_has_its_shape),
		cmocka_unit_test(an_unlock_never_waits),
		cmocka_unit_test(what_deletes_is_known),
		cmocka_unit_test(a_request_shorter_than_its_struct_is_refused),
		cmocka_unit_test(the_struct_alone_is_enough),
		cmocka_unit_test(what_is_not_in_the_table_is_not_forwarded),
		cmocka_unit_test(the_relays_own_and_dax_are_not_forwarded),
		cmocka_unit_test(a_length_that_disagrees_with_the_header_is_refused),
		cmocka_unit_test(setxattr_has_8_bytes_without_the_extension),
		cmocka_unit_test(getxattr_without_a_size_asks_for_the_size),
		cmocka_unit_test(readlink_has_room_for_a_page_less_one),
		cmocka_unit_test(ioctl_has_room_for_a_page_at_least),
		cmocka_unit_test(sizes_are_the_requests_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
