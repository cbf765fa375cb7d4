/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a mount began and ended, and why: each in a line. */
#include "base/log.h"
#include "base/util.h"
#include "daemon/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include <cmocka.h>

static char said[1024];
static struct viofs_journal j;
static struct viofs_err err;

static void sink(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	size_t len = strlen(said);

	assert_int_equal(level, VIOFS_LOG_INFO);
	snprintf(said + len, sizeof(said) - len, "%s\n", message);
}

static int set_up(void **state)
{
	said[0] = '\0';
	memset(&j, 0, sizeof(j));
	memset(&err, 0, sizeof(err));
	viofs_log_set_sink(sink, VIOFS_LOG_INFO);
	return 0;
}

static int tear_down(void **state)
{
	viofs_log_set_sink(NULL, VIOFS_LOG_INFO);
	return 0;
}

static void begin(void)
{
	viofs_journal_begin(&j, "myfs", "0000:00:05.0", "/mnt");
	assert_string_equal(said, "myfs (0000:00:05.0) is mounted at /mnt\n");
	said[0] = '\0';
	j.began -= 7 * VIOFS_NSEC_PER_SEC;
}

static void ends(int rc, bool was_there, const char *how)
{
	char line[256];

	said[0] = '\0';
	viofs_journal_end(&j, "0000:00:05.0", "/mnt", rc, &err, was_there);
	snprintf(line, sizeof(line), "the mount of 0000:00:05.0 at /mnt has ended after 7 s: %s\n",
		 how);
	assert_string_equal(said, line);
}

static void what_has_not_begun_does_not_end(void **state)
{
	viofs_journal_end(&j, "0000:00:05.0", "/mnt", 0, &err, false);
	viofs_journal_end(&j, "0000:00:05.0", "/mnt", -EIO, &err, true);
	assert_string_equal(said, "");
}

static void an_end_says_why(void **state)
{
	begin();
	snprintf(err.text, sizeof(err.text), "the device is gone");
	ends(0, false, "it was unmounted");
	ends(0, true, "its connection was aborted (umount -f, or fusectl)");
	ends(-EIO, true, "the device is gone");
	ends(-EIO, false, "the device is gone");
}

static void who_asked_first_has_ended_it(void **state)
{
	const struct signalfd_siginfo info = { .ssi_signo = SIGTERM, .ssi_pid = 77, .ssi_uid = 5 };

	begin();
	viofs_journal_ask_signal(&j, &info);
	assert_string_equal(said, "asked to end by signal 15 (Terminated) of process 77, user 5\n");
	said[0] = '\0';
	viofs_journal_ask(&j, "viofsctl abort");
	assert_string_equal(said, "asked to end by viofsctl abort\n");
	ends(0, false, "by signal 15 (Terminated) of process 77, user 5");
	ends(0, true, "by signal 15 (Terminated) of process 77, user 5");
	snprintf(err.text, sizeof(err.text), "it broke");
	ends(-EPROTO, true, "it broke");
}

static void a_second_mount_has_its_line(void **state)
{
	viofs_journal_again("0000:00:05.0", "/second", false);
	assert_string_equal(said, "0000:00:05.0 is mounted at /second too, by the virtiofs-vfio "
				  "that has it already\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_has_not_begun_does_not_end),
		TEST(an_end_says_why),
		TEST(who_asked_first_has_ended_it),
		TEST(a_second_mount_has_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
