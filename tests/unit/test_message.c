/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's messages on their way through the supervisor. */
#include "daemon/message.h"
#include "base/log.h"
#include "base/util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

static int fds[2];
static char said[2048], said_opcode[100], said_rule[400];
static enum viofs_log_level said_level;
static int count;
static struct viofs_message_flow flow;

static void take(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	said_level = level;
	snprintf(said_opcode, sizeof(said_opcode), "%s", about->opcode ? about->opcode : "");
	snprintf(said_rule, sizeof(said_rule), "%s", about->rule ? about->rule : "");
	strncpy(said, message, sizeof(said) - 1);
	count++;
}

static int set_up(void **state)
{
	count = 0;
	said[0] = '\0';
	memset(&flow, 0, sizeof(flow));
	return pipe2(fds, O_CLOEXEC | O_NONBLOCK);
}

static int tear_down(void **state)
{
	if (fds[1] >= 0)
		close(fds[1]);
	return close(fds[0]);
}

static void forward(bool more)
{
	viofs_log_set_sink(take, VIOFS_LOG_DEBUG);
	assert_int_equal(viofs_message_forward(fds[0], &flow), more);
}

static void a_message_keeps_its_level_and_text(void **state)
{
	viofs_message_to_pipe(fds[1]);
	viofs_warn("the device %s", "is slow");
	forward(true);
	assert_int_equal(count, 1);
	assert_int_equal(said_level, VIOFS_LOG_WARNING);
	assert_string_equal(said, "the device is slow");
}

static void forward_up_to(enum viofs_log_level max)
{
	viofs_log_set_sink(take, max);
	assert_true(viofs_message_forward(fds[0], &flow));
}

/* Wanted or not is for who reads the pipe: that may change while the worker runs. */
static void debugging_messages_come_only_when_wanted(void **state)
{
	viofs_message_to_pipe(fds[1]);
	viofs_debug("no");
	forward_up_to(VIOFS_LOG_INFO);
	assert_int_equal(count, 0);
	viofs_message_to_pipe(fds[1]);
	viofs_debug("yes");
	forward_up_to(VIOFS_LOG_DEBUG);
	assert_string_equal(said, "yes");
	viofs_message_to_pipe(fds[1]);
	viofs_warn("no");
	forward_up_to(VIOFS_LOG_ERROR);
	assert_int_equal(count, 1);
}

/* Neither may take the other's room. */
static void a_flood_of_debugging_messages_hides_no_warning(void **state)
{
	for (int round = 0; round < 30; round++) {
		viofs_message_to_pipe(fds[1]);
		for (int i = 0; i < 60; i++)
			viofs_debug("message %d", i);
		forward_up_to(VIOFS_LOG_INFO);
	}
	assert_int_equal(count + (int)flow.dropped, 0);
	for (int round = 0; round < 30; round++) {
		viofs_message_to_pipe(fds[1]);
		for (int i = 0; i < 60; i++)
			viofs_debug("message %d", i);
		flow.since = viofs_now_ns(); /* in one second, however slow this machine is */
		forward_up_to(VIOFS_LOG_DEBUG);
	}
	assert_int_equal(count, 500);
	assert_int_equal(flow.dropped, 1300);
	viofs_message_to_pipe(fds[1]);
	viofs_warn("the device is slow");
	flow.since = viofs_now_ns();
	forward_up_to(VIOFS_LOG_DEBUG);
	assert_string_equal(said, "the device is slow");
}

static void a_message_keeps_what_it_is_about(void **state)
{
	char rule[300];

	memset(rule, 'r', sizeof(rule) - 1);
	rule[sizeof(rule) - 1] = '\0';
	viofs_message_to_pipe(fds[1]);
	viofs_log_about(VIOFS_LOG_WARNING,
			&(struct viofs_log_about){ .opcode = "READ", .rule = "its length" }, "no");
	forward(true);
	assert_string_equal(said_opcode, "READ");
	assert_string_equal(said_rule, "its length");
	viofs_message_to_pipe(fds[1]);
	viofs_log_about(VIOFS_LOG_WARNING,
			&(struct viofs_log_about){ .opcode = "A\nB=\033", .rule = rule }, "no");
	forward(true);
	assert_string_equal(said_opcode, "A\\nB=\\033");
	assert_int_equal(strlen(said_rule), 95);
	viofs_message_to_pipe(fds[1]);
	viofs_warn("no");
	forward(true);
	assert_string_equal(said_opcode, "");
}

static void a_full_pipe_loses_messages_and_blocks_nobody(void **state)
{
	viofs_message_to_pipe(fds[1]);
	for (int i = 0; i < 1000; i++)
		viofs_info("message %d", i);
	forward(true);
	assert_true(count > 10 && count < 1000);
}

/* Round after round, each of them a pipe full. */
static void a_flood_does_not_fill_the_log(void **state)
{
	for (int round = 0; round < 5; round++) {
		viofs_message_to_pipe(fds[1]);
		for (int i = 0; i < 100; i++)
			viofs_info("message %d", i);
		forward(true);
	}
	assert_true(count >= 50 && count <= 2 * 51);
	assert_true(flow.dropped > 100);
	/* What comes later is logged again, behind how much was dropped. */
	count = 0;
	usleep(1000000);
	viofs_message_to_pipe(fds[1]);
	viofs_info("later");
	forward(true);
	assert_int_equal(count, 2);
	assert_string_equal(said, "later");
	assert_int_equal(flow.dropped, 0);
}

static void what_was_dropped_is_said_at_the_end(void **state)
{
	viofs_message_to_pipe(fds[1]);
	for (int i = 0; i < 60; i++)
		viofs_info("message %d", i);
	close(fds[1]);
	fds[1] = -1;
	forward(false);
	assert_non_null(strstr(said, "10 messages of the worker were dropped"));
	assert_int_equal(said_level, VIOFS_LOG_WARNING);
}

static void the_end_is_told_from_silence(void **state)
{
	forward(true);
	close(fds[1]);
	fds[1] = -1;
	forward(false);
}

static void what_a_hijacked_worker_writes_stays_one_harmless_line(void **state)
{
	struct {
		int32_t level;
		char opcode[24], rule[96], text[900];
	} letter = { .level = VIOFS_LOG_INFO };

	/* No NUL. */
	memset(letter.text, 'x', sizeof(letter.text));
	memset(letter.opcode, '\n', sizeof(letter.opcode));
	memset(letter.rule, 'x', sizeof(letter.rule));
	memcpy(letter.text, "a\nb\033[2J\x7f", 8);
	assert_int_equal(write(fds[1], &letter, sizeof(letter)), sizeof(letter));
	forward(true);
	assert_memory_equal(said, "a\\nb\\033[2J\\177xx", 16);
	assert_int_equal(strcspn(said, "\n\033\x7f"), strlen(said));
	assert_true(strlen(said) < 1024);
	assert_int_equal(strlen(said_opcode), 2 * 23);
	assert_int_equal(strcspn(said_opcode, "\n"), strlen(said_opcode));
	assert_int_equal(strlen(said_rule), 95);
	letter.level = 77;
	assert_int_equal(write(fds[1], &letter, sizeof(letter)), sizeof(letter));
	letter.level = -1;
	assert_int_equal(write(fds[1], &letter, sizeof(letter)), sizeof(letter));
	forward(true);
	assert_int_equal(count, 1);
}

/* What the system's log gets. */
static char logged[16][1200];
static int priorities[16];
static unsigned int logged_count;

__attribute__((format(printf, 2, 0))) static void log_line(int priority, const char *fmt,
							   va_list ap)
{
	priorities[logged_count % 16] = priority;
	vsnprintf(logged[logged_count++ % 16], sizeof(logged[0]), fmt, ap);
}

__attribute__((format(printf, 2, 3))) void __wrap_syslog(int priority, const char *fmt, ...);
void __wrap_syslog(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(priority, fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 3, 4))) void __wrap___syslog_chk(int priority, int flag,
							       const char *fmt, ...);
void __wrap___syslog_chk(int priority, int flag, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(priority, fmt, ap);
	va_end(ap);
}

static void warnings_of_the_start_are_in_the_log_too(void **state)
{
	logged_count = 0;
	viofs_message_to_stderr(true);
	viofs_warn("small pages are used");
	viofs_info("by the way");
	viofs_error("no");
	viofs_message_to_syslog("/mnt/\xff");
	viofs_info("mounted");
	assert_int_equal(logged_count, 3);
	assert_string_equal(logged[0], "/mnt/\\377: small pages are used");
	assert_string_equal(logged[1], "/mnt/\\377: no");
	assert_string_equal(logged[2], "/mnt/\\377: mounted");
	assert_int_equal(priorities[0], LOG_WARNING);
	assert_int_equal(priorities[1], LOG_ERR);
	assert_int_equal(priorities[2], LOG_INFO);
	/* Once. */
	viofs_message_to_syslog("/mnt");
	assert_int_equal(logged_count, 3);
}

static void many_warnings_of_the_start_are_bounded(void **state)
{
	logged_count = 0;
	viofs_message_to_stderr(false);
	for (int i = 0; i < 100; i++)
		viofs_warn("warning %d", i);
	viofs_message_to_syslog("/mnt");
	assert_true(logged_count >= 4 && logged_count <= 16);
	assert_string_equal(logged[0], "/mnt: warning 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warnings_of_the_start_are_in_the_log_too),
		cmocka_unit_test(many_warnings_of_the_start_are_bounded),
		cmocka_unit_test_setup_teardown(a_message_keeps_its_level_and_text, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(debugging_messages_come_only_when_wanted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_flood_of_debugging_messages_hides_no_warning,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_message_keeps_what_it_is_about, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_full_pipe_loses_messages_and_blocks_nobody,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_is_told_from_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_flood_does_not_fill_the_log, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_dropped_is_said_at_the_end, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			what_a_hijacked_worker_writes_stays_one_harmless_line, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
