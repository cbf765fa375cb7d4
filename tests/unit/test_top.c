/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl top: rates of two samples, and the screen that is made of them. */
#include "../../tools/viofsctl/top.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *before, *now;
static struct viofs_top_list list;
static struct viofs_top_view view;

static json_t *parse(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);

	assert_non_null(value);
	return value;
}

#define DAEMON                                                                                     \
	"'source':'myfs','session':'serving','channel':'uring','poll':'adaptive','lanes':2,"       \
	"'device':{'tag':'myfs','transport':'vhost-user'},'supervisor':7,'worker':8,"

/* JSON with other quotes; @socket, @mountpoint, when, and how much of everything. */
static json_t *daemon_json(const char *socket, const char *mountpoint, double at, int much,
			   const char *latency)
{
	char text[4096];

	snprintf(
		text, sizeof(text),
		"{" DAEMON "'socket':'%s','mountpoint':'%s','at':%f,'cpu_s':%f,"
		"'counts':{'replies':%d,'bytes_read':%d,'bytes_written':%d,'sleeps':%d,'faults':3},"
		"'queues':[{'requests':%d,'kicks':%d,'interrupts':0},"
		"{'requests':%d,'kicks':0,'interrupts':%d}],"
		"'slots':{'used':5,'free':3},'parked':{'now':1},'oldest_request_s':0.25,"
		"'latency':%s}",
		socket, mountpoint, at, 0.005 * much, 100 * much, much << 20, much << 19, 4 * much,
		20 * much, 10 * much, 80 * much, 25 * much, latency);
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	return parse(text);
}

static int set_up(void **state)
{
	before = json_array();
	now = json_array();
	memset(&list, 0, sizeof(list));
	view = (struct viofs_top_view){
		.rows = 24, .columns = 80, .interval_s = 1, .clock = "12:34:56"
	};
	return 0;
}

static int tear_down(void **state)
{
	viofs_top_free(&list);
	json_decref(before);
	json_decref(now);
	return 0;
}

#define STEPS(...) "'steps':[" __VA_ARGS__ "]"
#define SAME(op, steps) "{'op':'" op "','device':{" steps "},'total':{" steps "}}"

static void one_mount(void)
{
	json_array_append_new(before,
			      daemon_json("/run/1", "/mnt", 10, 1,
					  "[" SAME("READ", STEPS("[0.001,5],[0.004,1]")) "]"));
	json_array_append_new(
		now, daemon_json("/run/1", "/mnt", 12, 11,
				 "[" SAME("READ", STEPS("[0.001,95],[0.002,8],[0.004,3]")) "," SAME(
					 "WRITE", STEPS("[2.5,1]")) "]"));
	assert_int_equal(viofs_top_rates(before, now, &list), 0);
}

static void rates_are_what_came_in_the_time_between(void **state)
{
	const struct viofs_top_mount *m;

	one_mount();
	assert_int_equal(list.count, 1);
	m = &list.mounts[0];
	assert_true(m->rated);
	assert_true(m->per_s == 500 && m->read_per_s == 5 << 20 && m->sleeps_per_s == 20);
	assert_true(m->kicks == 0.1 && m->interrupts == 0.25);
	assert_true(m->cpu > 2.49 && m->cpu < 2.51);
	assert_int_equal(m->op_count, 2);
	assert_string_equal(m->ops[0].name, "READ");
	/* 90 of 1 ms, 8 of 2 ms, 2 of 4 ms. */
	assert_true(m->ops[0].per_s == 50);
	assert_true(m->ops[0].total[VIOFS_TOP_P50] == 0.001);
	assert_true(m->ops[0].total[VIOFS_TOP_P90] == 0.001);
	assert_true(m->ops[0].device[VIOFS_TOP_P99] == 0.004);
	/* Of both opcodes together. */
	assert_true(m->total[VIOFS_TOP_P99] == 0.004 && m->total[VIOFS_TOP_P999] == 2.5);
}

/* A daemon that measures its clock anew for each sample. */
static void ends_that_waver_are_the_same(void **state)
{
	json_array_append_new(
		before,
		daemon_json("/run/1", "/mnt", 10, 1,
			    "[" SAME("READ", STEPS("[0.0010003,1000],[0.0010625,1000]")) "]"));
	json_array_append_new(
		now, daemon_json("/run/1", "/mnt", 11, 2,
				 "[" SAME("READ", STEPS("[0.0010000,1001],[0.0010630,1002]")) "]"));
	assert_int_equal(viofs_top_rates(before, now, &list), 0);
	assert_true(list.mounts[0].ops[0].per_s == 3);
}

static void what_was_not_there_before_has_no_rates(void **state)
{
	json_array_append_new(now, daemon_json("/run/1", "/mnt", 12, 11, "[]"));
	assert_int_equal(viofs_top_rates(NULL, now, &list), 0);
	assert_false(list.mounts[0].rated);
	assert_true(list.mounts[0].in_flight == 5 && list.mounts[0].oldest_s == 0.25);
	viofs_top_free(&list);
	/* Another daemon at the same place. */
	json_array_append_new(before, daemon_json("/run/1", "/mnt", 10, 1, "[]"));
	json_object_set_new(json_array_get(before, 0), "supervisor", json_integer(6));
	assert_int_equal(viofs_top_rates(before, now, &list), 0);
	assert_false(list.mounts[0].rated);
}

static void another_worker_has_another_time(void **state)
{
	json_array_append_new(before, daemon_json("/run/1", "/mnt", 10, 1, "[]"));
	json_array_append_new(now, daemon_json("/run/1", "/mnt", 12, 11, "[]"));
	json_object_set_new(json_array_get(before, 0), "worker", json_integer(6));
	assert_int_equal(viofs_top_rates(before, now, &list), 0);
	assert_true(list.mounts[0].rated && list.mounts[0].cpu == -1);
}

/* An answer of a daemon that is another version, or was taken over, breaks nothing. */
static void nonsense_is_taken_for_nothing(void **state)
{
	static const char *const answers[] = {
		"[{}]",
		"[{'latency':7}]",
		"[{'socket':'/run/1','at':2,'latency':[7,{},{'op':3}]}]",
		("[{'socket':'/run/"
		 "1','at':3,'queues':[[]],'latency':[{'op':'READ','total':{'steps':"
		 "[7,[],['x','y'],[1,2]]}}]}]"),
	};
	char *screen;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		char text[256];
		json_t *odd;

		snprintf(text, sizeof(text), "%s", answers[i]);
		for (char *c = text; *c; c++)
			if (*c == '\'')
				*c = '"';
		odd = parse(text);
		assert_int_equal(viofs_top_rates(before, odd, &list), 0);
		viofs_top_order(&list, VIOFS_TOP_LATENCY);
		screen = viofs_top_text(&list, &view);
		assert_non_null(screen);
		free(screen);
		viofs_top_free(&list);
		json_decref(before);
		before = odd;
	}
}

static void shows(const char *wanted)
{
	char *screen;

	viofs_top_order(&list, view.sort);
	screen = viofs_top_text(&list, &view);
	assert_string_equal(screen, wanted);
	free(screen);
}

static void the_screen_has_80_columns_and_24_lines(void **state)
{
	one_mount();
	shows("viofsctl top  12:34:56  1 mount, every 1 s, by requests\n"
	      "\1   REQ/S   MIB/S      P50      P99 FLIGHT   OLDEST PARKED CPU%  MOUNT\n"
	      "\2     500     7.5    1.0ms    4.0ms      5  250.0ms      1    2  /mnt\n"
	      "\n"
	      "/mnt: myfs (vhost-user), serving, uring, 2 lanes, poll adaptive, 3 faults\n"
	      "read 5.0, written 2.5 MiB/s; a request: 0.10 kicks 0.25 interrupts; 20 sleeps/s\n"
	      "\1OPCODE              REQ/S      P50      P90      P99    P99.9  DEV P50  DEV P99\n"
	      "READ                   50    1.0ms    1.0ms    4.0ms    4.0ms    1.0ms    4.0ms\n"
	      "WRITE                 0.5     2.5s     2.5s     2.5s     2.5s     2.5s     2.5s\n"
	      "\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
	      "q quit; by r requests b bytes l latency i in flight o oldest c CPU n name\n");
}

static void a_small_screen_is_not_left(void **state)
{
	one_mount();
	for (view.rows = 1; view.rows < 30; view.rows++)
		for (view.columns = 1; view.columns < 100; view.columns++) {
			char *screen = viofs_top_text(&list, &view), *end = screen;
			unsigned int lines = 0;

			for (const char *line = screen; (end = strchr(line, '\n'));
			     line = end + 1) {
				bool mark = *line == VIOFS_TOP_HEAD || *line == VIOFS_TOP_SELECTED;

				assert_true((size_t)(end - line) - mark <= view.columns);
				lines++;
			}
			assert_int_equal(lines, view.rows);
			free(screen);
		}
}

static const char *first_mount(void)
{
	return list.mounts[viofs_top_select(&list, &view)].mountpoint;
}

static void mounts_are_in_the_order_that_is_asked_for(void **state)
{
	json_array_append_new(before, daemon_json("/run/1", "/busy", 10, 1, "[]"));
	json_array_append_new(before, daemon_json("/run/2", "/a", 10, 1, "[]"));
	json_array_append_new(now, daemon_json("/run/2", "/a", 11, 2, "[]"));
	json_array_append_new(now, daemon_json("/run/1", "/busy", 11, 5, "[]"));
	json_object_set_new(json_array_get(now, 0), "oldest_request_s", json_real(7));
	assert_int_equal(viofs_top_rates(before, now, &list), 0);
	for (unsigned int sort = 0; sort < VIOFS_TOP_SORTS; sort++) {
		bool other = sort == VIOFS_TOP_OLDEST || sort == VIOFS_TOP_NAME ||
			     sort == VIOFS_TOP_IN_FLIGHT || sort == VIOFS_TOP_LATENCY;

		viofs_top_order(&list, (enum viofs_top_sort)sort);
		assert_string_equal(first_mount(), other ? "/a" : "/busy");
	}
	/* Who was selected stays so, whatever the order is. */
	snprintf(view.selected, sizeof(view.selected), "/run/1");
	assert_string_equal(first_mount(), "/busy");
	viofs_top_order(&list, VIOFS_TOP_REQUESTS);
	assert_string_equal(first_mount(), "/busy");
	snprintf(view.selected, sizeof(view.selected), "/run/gone");
	assert_string_equal(first_mount(), "/busy");
}

static void many_mounts_leave_room_for_the_selected_one(void **state)
{
	char socket[32], mountpoint[32], *screen;

	for (int i = 0; i < 50; i++) {
		snprintf(socket, sizeof(socket), "/run/%d", i);
		snprintf(mountpoint, sizeof(mountpoint), "/mnt%02d", i);
		json_array_append_new(now, daemon_json(socket, mountpoint, 11, 2, "[]"));
	}
	assert_int_equal(viofs_top_rates(NULL, now, &list), 0);
	snprintf(view.selected, sizeof(view.selected), "/run/30");
	viofs_top_order(&list, VIOFS_TOP_NAME);
	screen = viofs_top_text(&list, &view);
	assert_non_null(strstr(screen, "\2       -"));
	assert_non_null(strstr(screen, "  /mnt30\n"));
	assert_non_null(strstr(screen, "\n/mnt30: myfs (vhost-user)"));
	assert_null(strstr(screen, "/mnt31"));
	assert_null(strstr(screen, "/mnt10"));
	free(screen);
}

static void wide_characters_take_two_columns(void **state)
{
	char *screen;

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		skip();
	/* 22 columns are left of 86 for the mount point. */
	json_array_append_new(now, daemon_json("/run/1",
					       "/\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e\u65e5"
					       "\u672c\u8a9e\u65e5\u672c\u8a9e",
					       11, 2, "[]"));
	assert_int_equal(viofs_top_rates(NULL, now, &list), 0);
	view.columns = 71;
	screen = viofs_top_text(&list, &view);
	setlocale(LC_CTYPE, "C");
	assert_non_null(strstr(screen, "  /\u65e5\u672c\u8a9e\n"));
	free(screen);
	/* What this locale can't show is no character of another width. */
	screen = viofs_top_text(&list, &view);
	assert_non_null(strstr(screen, "  /??????\n"));
	free(screen);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rates_are_what_came_in_the_time_between),
		TEST(ends_that_waver_are_the_same),
		TEST(what_was_not_there_before_has_no_rates),
		TEST(another_worker_has_another_time),
		TEST(nonsense_is_taken_for_nothing),
		TEST(the_screen_has_80_columns_and_24_lines),
		TEST(a_small_screen_is_not_left),
		TEST(mounts_are_in_the_order_that_is_asked_for),
		TEST(many_mounts_leave_room_for_the_selected_one),
		TEST(wide_characters_take_two_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
