/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's reports: what it may say in which state, and what a hijacked one may write. */
#include "daemon/report.h"
#include "daemon/worker.h"
#include "says.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WRONG VIOFS_WORKER_STATES

static int fds[2];
static enum viofs_worker_state state;
static struct viofs_report r;

static int set_up(void **test)
{
	state = VIOFS_WORKER_STARTING;
	memset(&r, 0, sizeof(r));
	return pipe2(fds, O_CLOEXEC | O_NONBLOCK);
}

static int tear_down(void **test)
{
	if (fds[1] >= 0)
		close(fds[1]);
	return close(fds[0]);
}

static void send(enum viofs_report_kind kind)
{
	const struct viofs_err err = { .text = "why" };
	bool bad = kind != VIOFS_REPORT_SERVING;

	assert_int_equal(viofs_report_send(fds[1], kind, bad ? -EIO : 0, bad ? &err : NULL), 0);
}

static void each_state_takes_what_it_may(void **test)
{
	static const enum viofs_worker_state after[VIOFS_WORKER_STATES][VIOFS_REPORT_KINDS] = {
		{ VIOFS_WORKER_SERVING, VIOFS_WORKER_REFUSED, WRONG }, /* starting */
		{ WRONG, VIOFS_WORKER_ENDED, VIOFS_WORKER_LOST },      /* serving */
		{ VIOFS_WORKER_SERVING, VIOFS_WORKER_ENDED, WRONG },   /* succeeding */
		{ WRONG, WRONG, WRONG },                               /* lost */
		{ WRONG, WRONG, WRONG },                               /* refused */
		{ WRONG, WRONG, WRONG },                               /* ended */
	};

	for (int from = 0; from < VIOFS_WORKER_STATES; from++)
		for (int kind = 0; kind < VIOFS_REPORT_KINDS; kind++) {
			state = (enum viofs_worker_state)from;
			send((enum viofs_report_kind)kind);
			if (after[from][kind] == WRONG) {
				assert_int_equal(viofs_report_read(fds[0], &state, &r), -EPROTO);
				assert_int_equal(state, from);
				assert_non_null(strstr(r.err.text, "the worker has reported"));
				continue;
			}
			assert_int_equal(viofs_report_read(fds[0], &state, &r), 1);
			assert_int_equal(state, after[from][kind]);
			assert_int_equal(r.kind, kind);
			assert_int_equal(r.rc, kind ? -EIO : 0);
			assert_string_equal(r.err.text, kind ? "why" : "");
		}
}

static void served_are_those_that_once_did(void **test)
{
	assert_false(viofs_worker_has_served(VIOFS_WORKER_STARTING));
	assert_true(viofs_worker_has_served(VIOFS_WORKER_SERVING));
	assert_true(viofs_worker_has_served(VIOFS_WORKER_SUCCEEDING));
	assert_true(viofs_worker_has_served(VIOFS_WORKER_LOST));
	assert_false(viofs_worker_has_served(VIOFS_WORKER_REFUSED));
	assert_true(viofs_worker_has_served(VIOFS_WORKER_ENDED));
}

static void silence_is_told_from_the_end(void **test)
{
	assert_int_equal(viofs_report_read(fds[0], &state, &r), 0);
	close(fds[1]);
	fds[1] = -1;
	assert_int_equal(viofs_report_read(fds[0], &state, &r), -EPIPE);
	assert_int_equal(state, VIOFS_WORKER_STARTING);
}

struct wire {
	int32_t kind, rc;
	uint32_t remedy;
	char text[sizeof(((struct viofs_err *)NULL)->text)];
};

static void what_is_no_report_is_refused(void **test)
{
	static const struct wire wrong[] = {
		{ -1, 0, 0, "" },
		{ VIOFS_REPORT_KINDS, 0, 0, "" },
		{ INT32_MAX, -EIO, 0, "" },
		{ VIOFS_REPORT_SERVING, -EIO, 0, "" },
		{ VIOFS_REPORT_SERVING, 1, 0, "" },
		{ VIOFS_REPORT_FAILED, 0, 0, "" },
		{ VIOFS_REPORT_FAILED, EIO, 0, "" },
		{ VIOFS_REPORT_FAILED, -4096, 0, "" },
		{ VIOFS_REPORT_FAILED, INT32_MIN, 0, "" },
		{ VIOFS_REPORT_FAILED, -EIO, VIOFS_REMEDIES, "" },
		{ VIOFS_REPORT_FAILED, -EIO, UINT32_MAX, "" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(write(fds[1], &wrong[i], sizeof(wrong[i])), sizeof(wrong[i]));
		assert_int_equal(viofs_report_read(fds[0], &state, &r), -EPROTO);
		assert_int_equal(state, VIOFS_WORKER_STARTING);
		assert_non_null(strstr(r.err.text, "no report"));
	}
	for (size_t len = 1; len < sizeof(struct wire); len += 37) {
		assert_int_equal(write(fds[1], &(struct wire){ 0 }, len), len);
		assert_int_equal(viofs_report_read(fds[0], &state, &r), -EPROTO);
	}
}

static void its_words_are_one_harmless_line(void **test)
{
	struct wire w = { VIOFS_REPORT_FAILED, -4095, VIOFS_REMEDY_LONGER_INIT, "" };

	memset(w.text, 'x', sizeof(w.text)); /* no NUL */
	memcpy(w.text, "a\nb\033[2J\x7f\xff", 9);
	assert_int_equal(write(fds[1], &w, sizeof(w)), sizeof(w));
	assert_int_equal(viofs_report_read(fds[0], &state, &r), 1);
	assert_int_equal(r.rc, -4095);
	assert_int_equal(r.err.remedy, VIOFS_REMEDY_LONGER_INIT);
	assert_ptr_equal(strstr(r.err.text, "a\\nb\\033[2J\\177\\377xxx"), r.err.text);
	assert_true(strlen(r.err.text) < sizeof(r.err.text));
}

/* Statuses as of waitpid(2): the signal, or the exit status in the second byte. */
static void what_a_worker_died_of_is_said(void **test)
{
	static const struct {
		int status;
		const char *words;
	} cases[] = {
		{ SIGSYS, "seccomp=log" },         { SIGSYS | 0x80, "seccomp filter" },
		{ SIGBUS, "punched holes" },       { SIGKILL, "killed by signal 9 (Killed)" },
		{ 1 << 8, "ended with status 1" }, { 255 << 8, "ended with status 255" },
	};
	struct viofs_err err = { .text = "" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(viofs_worker_death(cases[i].status, &err), -EIO);
		says(&err, cases[i].words);
	}
	assert_int_equal(viofs_worker_death(0, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_state_takes_what_it_may, set_up, tear_down),
		cmocka_unit_test(served_are_those_that_once_did),
		cmocka_unit_test_setup_teardown(silence_is_told_from_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_report_is_refused, set_up, tear_down),
		cmocka_unit_test(what_a_worker_died_of_is_said),
		cmocka_unit_test_setup_teardown(its_words_are_one_harmless_line, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
