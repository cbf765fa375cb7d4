/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libviofs' directories on a model device that says of entries what can't be. tests/fuzz/fuzz_dir.c
 * looks for more. */
#include "client_bench.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct viofs_session *session;
/* What the device's READDIRPLUS answers at offset 0; nothing elsewhere. */
static uint8_t portion[4096];
static size_t portion_size;

static void add(const char *name, uint64_t nodeid, uint32_t type, const struct fuse_attr *attr)
{
	const struct fuse_entry_out e = { .nodeid = nodeid, .attr = *attr };
	const size_t len = strlen(name);
	uint8_t *at = portion + portion_size;
	struct fuse_dirent *d = (void *)(at + sizeof(e));

	assert_true(portion_size + FUSE_NAME_OFFSET_DIRENTPLUS + len + 8 <= sizeof(portion));
	memcpy(at, &e, sizeof(e));
	*d = (struct fuse_dirent){ .ino = attr->ino, .off = portion_size + 1, .type = type };
	d->namelen = (uint32_t)len;
	memcpy(at + FUSE_NAME_OFFSET_DIRENTPLUS, name, len);
	portion_size += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + len);
}

static enum model_verdict folder(struct model_device *d, struct model_request *r)
{
	const struct fuse_read_in *in = (const void *)(r->message + sizeof(struct fuse_in_header));
	struct fuse_out_header *out = (void *)r->reply;
	size_t n = 0;

	if (r->opcode == FUSE_OPENDIR) {
		n = sizeof(struct fuse_open_out);
	} else if (r->opcode == FUSE_READDIRPLUS) {
		n = in->offset ? 0 : portion_size;
		memcpy(out + 1, portion, n);
	} else if (r->opcode != FUSE_RELEASEDIR) {
		return MODEL_ANSWER;
	}
	out->error = 0;
	out->len = (uint32_t)(sizeof(*out) + n);
	r->reply_len = r->used_len = out->len;
	return MODEL_ANSWER;
}

static struct viofs_dir *open_folder(void)
{
	struct viofs_dir *dir;

	bench_open();
	bench_set_hook(folder);
	pthread_mutex_lock(&bench.device.lock);
	bench.device.init.flags |= FUSE_DO_READDIRPLUS;
	pthread_mutex_unlock(&bench.device.lock);
	assert_int_equal(viofs_session_open(bench.dev, NULL, &session, &bench.err), 0);
	assert_int_equal(viofs_dir_open(session, "/", 0, &dir, &bench.err), 0);
	return dir;
}

static void next(struct viofs_dir *dir, struct viofs_dirent *entry, const char *name)
{
	assert_int_equal(viofs_dir_read(dir, entry, &bench.err), 1);
	assert_string_equal(entry->name, name);
}

static void ends(struct viofs_dir *dir, int rc)
{
	struct viofs_session_info info = { .size = sizeof(info) };
	struct viofs_dirent entry;

	for (int i = 0; i < 2; i++)
		assert_int_equal(viofs_dir_read(dir, &entry, &bench.err), rc);
	assert_int_equal(viofs_dir_close(dir, NULL), 0);
	/* All that the device counted is given back or about to be. */
	viofs_session_drop(session);
	assert_int_equal(viofs_session_info_get(session, &info), 0);
	assert_int_equal(info.lookups, 0);
	viofs_session_close(session);
}

static void what_is_no_inode_has_no_stat(void **state)
{
	struct fuse_attr attr = { .ino = 5, .mode = S_IFREG | 0644, .size = 77 };
	struct viofs_dirent entry;
	struct viofs_dir *dir;

	portion_size = 0;
	add(".", 0, DT_DIR, &attr);
	add("good", 5, DT_REG, &attr);
	add("root", FUSE_ROOT_ID, DT_DIR, &attr);
	attr.size = 1ULL << 63;
	add("huge", 6, DT_REG, &attr);
	attr.size = 0;
	attr.mode = 0170000;
	add("no-type", 7, DT_REG, &attr);
	dir = open_folder();
	next(dir, &entry, ".");
	assert_null(entry.st);
	next(dir, &entry, "good");
	assert_non_null(entry.st);
	assert_int_equal(entry.st->st_size, 77);
	assert_int_equal(entry.st->st_mode, S_IFREG | 0644);
	next(dir, &entry, "root");
	assert_null(entry.st);
	next(dir, &entry, "huge");
	assert_null(entry.st);
	next(dir, &entry, "no-type");
	assert_null(entry.st);
	ends(dir, 0);
}

static void many_entries_come_at_once(void **state)
{
	const struct fuse_attr attr = { .ino = 5, .mode = S_IFREG | 0644, .size = 77 };
	static const char *const names[] = { "a", "a-longer-name", "bb", "c" };
	struct viofs_dirent entries[8];
	struct viofs_dir *dir;

	portion_size = 0;
	for (unsigned int i = 0; i < 4; i++)
		add(names[i], 5 + i, DT_REG, &attr);
	dir = open_folder();
	assert_int_equal(viofs_dir_next_many(dir, entries, 8), 0);
	assert_int_equal(viofs_dir_read_many(dir, entries, 3, &bench.err), 3);
	assert_int_equal(viofs_dir_next_many(dir, entries, 0), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_string_equal(entries[i].name, names[i]);
		assert_int_equal(entries[i].name_len, strlen(names[i]));
		assert_int_equal(entries[i].st->st_size, 77);
	}
	assert_ptr_not_equal(entries[0].st, entries[1].st);
	assert_int_equal(viofs_dir_next_many(dir, entries, 8), 1);
	assert_string_equal(entries[0].name, names[3]);
	ends(dir, 0);
}

static void a_type_that_is_none_is_unknown(void **state)
{
	const struct fuse_attr attr = { .ino = 5, .mode = S_IFREG | 0644 };
	static const uint32_t types[] = { 3, 16, 255, DT_DIR + 256, UINT32_MAX };
	struct viofs_dirent entry;
	struct viofs_dir *dir;
	char name[16];

	portion_size = 0;
	add("socket", 5, DT_SOCK, &attr);
	for (unsigned int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "%u", i);
		add(name, 5, types[i], &attr);
	}
	dir = open_folder();
	next(dir, &entry, "socket");
	assert_int_equal(entry.type, DT_SOCK);
	for (unsigned int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "%u", i);
		next(dir, &entry, name);
		assert_int_equal(entry.type, DT_UNKNOWN);
	}
	ends(dir, 0);
}

static void nanoseconds_stay_below_a_second(void **state)
{
	const struct fuse_attr attr = {
		.ino = 5,
		.mode = S_IFREG | 0644,
		.atimensec = 999999999,
		.mtimensec = 1000000000,
		.ctimensec = UINT32_MAX,
	};
	struct viofs_dirent entry;
	struct viofs_dir *dir;

	portion_size = 0;
	add("file", 5, DT_REG, &attr);
	dir = open_folder();
	next(dir, &entry, "file");
	assert_int_equal(entry.st->st_atim.tv_nsec, 999999999);
	assert_int_equal(entry.st->st_mtim.tv_nsec, 999999999);
	assert_int_equal(entry.st->st_ctim.tv_nsec, 999999999);
	ends(dir, 0);
}

static void entries_before_one_that_cant_be_are_given(void **state)
{
	const struct fuse_attr attr = { .ino = 5, .mode = S_IFREG | 0644 };
	struct viofs_dirent entry;
	struct viofs_dir *dir;

	portion_size = 0;
	add("one", 5, DT_REG, &attr);
	add("two", 6, DT_REG, &attr);
	add("a/b", 7, DT_REG, &attr);
	add("three", 8, DT_REG, &attr);
	dir = open_folder();
	next(dir, &entry, "one");
	next(dir, &entry, "two");
	ends(dir, -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_no_inode_has_no_stat, bench_set_up_split,
						bench_tear_down),
		cmocka_unit_test_setup_teardown(many_entries_come_at_once, bench_set_up_split,
						bench_tear_down),
		cmocka_unit_test_setup_teardown(a_type_that_is_none_is_unknown, bench_set_up_split,
						bench_tear_down),
		cmocka_unit_test_setup_teardown(nanoseconds_stay_below_a_second, bench_set_up_split,
						bench_tear_down),
		cmocka_unit_test_setup_teardown(entries_before_one_that_cant_be_are_given,
						bench_set_up_split, bench_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
