/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files, as sysfs, /proc and /run have them. */
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
	tree_make();
	return 0;
}

static int tear_down(void **state)
{
	tree_remove();
	return 0;
}

static void a_text_loses_its_last_line_break(void **state)
{
	static const struct {
		const char *file, *text;
	} cases[] = {
		{ "", "" },     { "\n", "" },       { "a", "a" },
		{ "a\n", "a" }, { "a\n\n", "a\n" }, { "a\nb", "a\nb" },
	};
	char buf[8];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tree_file("f", cases[i].file);
		memset(buf, 'x', sizeof(buf));
		assert_int_equal(viofs_text_read(tree_path("f"), buf, sizeof(buf)),
				 strlen(cases[i].text));
		assert_string_equal(buf, cases[i].text);
	}
}

static void a_long_text_is_cut(void **state)
{
	char buf[6] = "xxxxx";

	tree_file("f", "12345");
	assert_int_equal(viofs_text_read(tree_path("f"), buf, 5), 4);
	assert_memory_equal(buf, "1234\0", 6);
	assert_int_equal(viofs_text_read(tree_path("f"), buf, 6), 5);
	assert_string_equal(buf, "12345");
}

static void what_cannot_be_read_says_why(void **state)
{
	char buf[8] = "same";
	uint64_t n = 7;

	assert_int_equal(viofs_text_read(tree_path("nothing"), buf, sizeof(buf)), -ENOENT);
	tree_dir("dir");
	assert_int_equal(viofs_text_read(tree_path("dir"), buf, sizeof(buf)), -EISDIR);
	assert_string_equal(buf, "same");
	assert_int_equal(viofs_text_read_u64(tree_path("nothing"), &n), -ENOENT);
	assert_int_equal(n, 7);
}

static void a_text_that_comes_in_pieces_is_one(void **state)
{
	char buf[8];
	pid_t pid;

	assert_int_equal(mkfifo(tree_path("pipe"), 0600), 0);
	pid = fork();
	if (!pid) {
		int fd = open(tree_path("pipe"), O_WRONLY);

		for (const char *p = "abc\n"; *p; p++) {
			usleep(5000);
			if (write(fd, p, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	assert_int_equal(viofs_text_read(tree_path("pipe"), buf, sizeof(buf)), 3);
	assert_string_equal(buf, "abc");
}

static void numbers_are_read_and_nothing_else(void **state)
{
	static const char *const wrong[] = { "", "\n", "x", "99999999999999999999" };
	uint64_t n = 7;

	/* Also after some other call's error. */
	errno = ERANGE;
	tree_file("f", "12\n");
	assert_int_equal(viofs_text_read_u64(tree_path("f"), &n), 0);
	assert_int_equal(n, 12);
	tree_file("f", "0x1af4\n");
	assert_int_equal(viofs_text_read_u64(tree_path("f"), &n), 0);
	assert_int_equal(n, 0x1af4);
	tree_file("f", "18446744073709551615");
	assert_int_equal(viofs_text_read_u64(tree_path("f"), &n), 0);
	assert_true(n == UINT64_MAX);
	n = 7;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		tree_file("f", wrong[i]);
		assert_int_equal(viofs_text_read_u64(tree_path("f"), &n), -EINVAL);
		assert_int_equal(n, 7);
	}
}

static void a_text_is_written_where_there_is_a_file(void **state)
{
	tree_file("f", "");
	assert_int_equal(viofs_text_write(tree_path("f"), "hello"), 0);
	assert_string_equal(tree_read("f"), "hello");
	assert_int_equal(viofs_text_write(tree_path("nothing"), "hello"), -ENOENT);
	assert_false(tree_exists("nothing"));
	assert_int_equal(viofs_text_write("/dev/full", "hello"), -ENOSPC);
}

static void an_error_has_its_text_and_what_stands_before_it(void **state)
{
	struct viofs_err err = { .text = "" };
	char longest[sizeof(err.text) + 10];

	assert_int_equal((viofs_err_set)(&err, -EIO, "%s %d", "a", 1), -EIO);
	assert_string_equal(err.text, "a 1");
	assert_int_equal((viofs_err_prefix)(&err, -EPERM, "%s", "there"), -EPERM);
	assert_string_equal(err.text, "there: a 1");
	/* Nobody wants it. */
	assert_int_equal((viofs_err_set)(NULL, -EIO, "x"), -EIO);
	assert_int_equal((viofs_err_prefix)(NULL, -EIO, "x"), -EIO);
	/* What would leave no room for the text is left out. */
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(err.text) - 3] = '\0';
	assert_int_equal((viofs_err_prefix)(&err, -EIO, "%s", longest), -EIO);
	assert_string_equal(err.text, "there: a 1");
	longest[10] = '\0';
	assert_int_equal((viofs_err_prefix)(&err, -EIO, "%s", longest), -EIO);
	assert_string_equal(err.text, "aaaaaaaaaa: there: a 1");
}

static enum viofs_log_level last_level;
static char last_message[2048];
static unsigned int messages;

static void sink(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	messages++;
	last_level = level;
	strcpy(last_message, message);
	errno = EXDEV;
}

static void messages_go_to_the_sink_up_to_a_level(void **state)
{
	viofs_log_set_sink(NULL, VIOFS_LOG_DEBUG);
	viofs_warn("to nobody");
	viofs_log_set_sink(sink, VIOFS_LOG_INFO);
	errno = ENOENT;
	viofs_info("%s\n%d", "a", 5);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(messages, 1);
	assert_int_equal(last_level, VIOFS_LOG_INFO);
	assert_string_equal(last_message, "a\\n5");
	viofs_debug("not this");
	assert_int_equal(messages, 1);
	viofs_log_set_sink(sink, VIOFS_LOG_DEBUG);
	viofs_debug("%2000d", 1);
	assert_int_equal(strlen(last_message), 1023);
	viofs_log_set_sink(NULL, VIOFS_LOG_DEBUG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_text_loses_its_last_line_break),
		TEST(a_long_text_is_cut),
		TEST(what_cannot_be_read_says_why),
		TEST(a_text_that_comes_in_pieces_is_one),
		TEST(numbers_are_read_and_nothing_else),
		TEST(a_text_is_written_where_there_is_a_file),
		TEST(an_error_has_its_text_and_what_stands_before_it),
		TEST(messages_go_to_the_sink_up_to_a_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
