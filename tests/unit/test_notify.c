/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which notifications of a device may go to the kernel. */
#include "fuse/notify_check.h"

#include "base/uapi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct {
	struct fuse_out_header head;
	uint8_t payload[4096];
} m;
static const char *name;

/* A message of @code with @size bytes of @payload. Return: its length. */
static size_t make(int32_t code, const void *payload, size_t size)
{
	memset(&m, 0, sizeof(m));
	m.head = (struct fuse_out_header){ (uint32_t)(sizeof(m.head) + size), code, 0 };
	if (size)
		memcpy(m.payload, payload, size);
	return m.head.len;
}

/* A struct of @size bytes with the length of the name at @at, and the name. */
static size_t make_named(int32_t code, size_t size, size_t at, uint32_t says, const char *text,
			 size_t len)
{
	size_t total = make(code, NULL, 0);

	memcpy(m.payload + at, &says, sizeof(says));
	memcpy(m.payload + size, text, len);
	m.head.len = (uint32_t)(total + size + len);
	return m.head.len;
}

static void good(size_t len, const char *is)
{
	assert_null(viofs_fuse_notify_check(&m, len, false, &name));
	assert_string_equal(name, is);
}

static void bad(size_t len, bool store, const char *says)
{
	const char *why = viofs_fuse_notify_check(&m, len, store, &name);

	assert_non_null(why);
	if (!strstr(why, says))
		fail_msg("\"%s\" does not say \"%s\"", why, says);
}

static void what_drops_caches_passes(void **state)
{
	const struct fuse_notify_inval_inode_out inode = { 2, 0, 0 };
	const struct fuse_notify_poll_wakeup_out poll = { 5 };

	good(make(FUSE_NOTIFY_INVAL_INODE, &inode, sizeof(inode)), "INVAL_INODE");
	good(make(FUSE_NOTIFY_POLL, &poll, sizeof(poll)), "POLL");
	good(make(VIOFS_FUSE_NOTIFY_INC_EPOCH, NULL, 0), "INC_EPOCH");
	good(make_named(FUSE_NOTIFY_INVAL_ENTRY, 16, 8, 4, "name", 5), "INVAL_ENTRY");
	good(make_named(FUSE_NOTIFY_DELETE, 24, 16, 4, "name", 5), "DELETE");
}

static void lengths_are_exact(void **state)
{
	static const int32_t fixed[] = { FUSE_NOTIFY_INVAL_INODE, FUSE_NOTIFY_POLL,
					 VIOFS_FUSE_NOTIFY_INC_EPOCH };
	static const size_t sizes[] = { 24, 8, 0 };
	uint8_t zeros[100] = { 0 };

	for (int i = 0; i < 3; i++)
		for (size_t size = 0; size < sizeof(zeros); size++)
			if (size != sizes[i])
				bad(make(fixed[i], zeros, size), true, "a wrong length");
	for (size_t size = 0; size < 16; size++)
		bad(make(FUSE_NOTIFY_INVAL_ENTRY, zeros, size), true, "a wrong length");
	for (size_t size = 0; size < 24; size++) {
		bad(make(FUSE_NOTIFY_DELETE, zeros, size), true, "a wrong length");
		bad(make(FUSE_NOTIFY_STORE, zeros, size), true, "a wrong length");
	}
}

static void header_and_written_bytes_agree(void **state)
{
	size_t len = make_named(FUSE_NOTIFY_INVAL_ENTRY, 16, 8, 4, "name", 5);

	for (size_t short_of = 0; short_of < 16; short_of++)
		bad(short_of, true, "shorter than its header");
	bad(len - 1, true, "another length");
	bad(len + 1, true, "another length");
	m.head.len = UINT32_MAX;
	bad(len, true, "another length");
}

static void a_reply_is_no_notification(void **state)
{
	size_t len = make(VIOFS_FUSE_NOTIFY_INC_EPOCH, NULL, 0);

	m.head.unique = 1;
	bad(len, true, "reply");
}

static void names_are_names(void **state)
{
	static char longest[1100];

	memset(longest, 'a', sizeof(longest));
	longest[1024] = '\0';
	good(make_named(FUSE_NOTIFY_INVAL_ENTRY, 16, 8, 1024, longest, 1025), "INVAL_ENTRY");
	longest[1024] = 'a';
	longest[1025] = '\0';
	bad(make_named(FUSE_NOTIFY_INVAL_ENTRY, 16, 8, 1025, longest, 1026), true,
	    "no possible length");
	bad(make_named(FUSE_NOTIFY_DELETE, 24, 16, 0, "", 1), true, "no possible length");
	bad(make_named(FUSE_NOTIFY_DELETE, 24, 16, UINT32_MAX, "name", 5), true,
	    "no possible length");
	bad(make_named(FUSE_NOTIFY_DELETE, 24, 16, 3, "name", 5), true,
	    "another length than it says");
	bad(make_named(FUSE_NOTIFY_DELETE, 24, 16, 4, "name", 4), true,
	    "another length than it says");
	bad(make_named(FUSE_NOTIFY_DELETE, 24, 16, 4, "names", 5), true, "a name that is none");
	bad(make_named(FUSE_NOTIFY_DELETE, 24, 16, 4, "na/e", 5), true, "a name that is none");
	bad(make_named(FUSE_NOTIFY_DELETE, 24, 16, 4, "na\0e", 5), true, "a name that is none");
}

static void store_is_only_taken_where_asked_for(void **state)
{
	struct {
		struct fuse_notify_store_out out;
		char data[8];
	} s = { { .nodeid = 2, .offset = 100, .size = 8 }, "evil" };
	size_t len = make(FUSE_NOTIFY_STORE, &s, sizeof(s));

	bad(len, false, "not agreed to");
	assert_null(viofs_fuse_notify_check(&m, len, true, &name));
	s.out.size = 7;
	bad(make(FUSE_NOTIFY_STORE, &s, sizeof(s)), true, "another length than it says");
	s.out.size = 8;
	s.out.offset = INT64_MAX - 8;
	assert_null(
		viofs_fuse_notify_check(&m, make(FUSE_NOTIFY_STORE, &s, sizeof(s)), true, &name));
	s.out.offset++;
	bad(make(FUSE_NOTIFY_STORE, &s, sizeof(s)), true, "beyond any file");
	s.out.offset = UINT64_MAX;
	bad(make(FUSE_NOTIFY_STORE, &s, sizeof(s)), true, "beyond any file");
}

static void what_gives_away_or_repeats_is_refused(void **state)
{
	static const int32_t codes[] = { FUSE_NOTIFY_RETRIEVE, VIOFS_FUSE_NOTIFY_RESEND,
					 VIOFS_FUSE_NOTIFY_PRUNE };
	static const char *const names[] = { "RETRIEVE", "RESEND", "PRUNE" };
	const uint8_t zeros[40] = { 0 };

	for (int i = 0; i < 3; i++)
		for (size_t size = 0; size < sizeof(zeros); size++) {
			bad(make(codes[i], zeros, size), true, "not taken from a device");
			assert_string_equal(name, names[i]);
		}
}

static void unknown_codes_are_refused(void **state)
{
	static const int32_t codes[] = { 0, -1, -22, 10, 100, INT32_MAX, INT32_MIN };

	for (unsigned int i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		bad(make(codes[i], NULL, 0), true, "an unknown code");
		assert_string_equal(name, "notification");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_drops_caches_passes),
		cmocka_unit_test(lengths_are_exact),
		cmocka_unit_test(header_and_written_bytes_agree),
		cmocka_unit_test(a_reply_is_no_notification),
		cmocka_unit_test(names_are_names),
		cmocka_unit_test(store_is_only_taken_where_asked_for),
		cmocka_unit_test(what_gives_away_or_repeats_is_refused),
		cmocka_unit_test(unknown_codes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
