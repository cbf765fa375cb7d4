/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structs of libviofs in programs that were built with an older or a newer header. */
#include "client_bench.h"
#include "viofs_config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MORE 64U

/* What comes behind the struct in a program, or what a newer one has there. */
static struct {
	union {
		struct viofs_dev_options dev;
		struct viofs_session_options session;
	} o;
	uint8_t more[MORE];
} program;

static const uint8_t *bytes(void)
{
	return (const uint8_t *)&program;
}

static void an_older_programs_struct_is_not_overrun(void **state)
{
	const size_t dev = offsetof(struct viofs_dev_options, depth);
	const size_t session = offsetof(struct viofs_session_options, cache_names);

	memset(&program, 0xee, sizeof(program));
	viofs_dev_options_init(&program.o.dev, dev);
	assert_int_equal(program.o.dev.size, dev);
	assert_int_equal(program.o.dev.flags, 0);
	for (size_t i = dev; i < sizeof(program); i++)
		assert_int_equal(bytes()[i], 0xee);
	memset(&program, 0xee, sizeof(program));
	viofs_session_options_init(&program.o.session, session);
	assert_int_equal(program.o.session.size, session);
	for (size_t i = session; i < sizeof(program); i++)
		assert_int_equal(bytes()[i], 0xee);
}

static void a_newer_programs_struct_is_zero_where_it_is_not_known(void **state)
{
	memset(&program, 0xee, sizeof(program));
	viofs_dev_options_init(&program.o.dev, sizeof(struct viofs_dev_options) + 8);
	assert_int_equal(program.o.dev.size, sizeof(struct viofs_dev_options) + 8);
	assert_int_equal(program.o.dev.depth, 128);
	for (size_t i = sizeof(struct viofs_dev_options); i < sizeof(program); i++)
		assert_int_equal(bytes()[i], i < sizeof(struct viofs_dev_options) + 8 ? 0 : 0xee);
}

static void an_older_programs_struct_means_the_defaults_for_the_rest(void **state)
{
	struct viofs_dev_info info = { .size = sizeof(info) };

	bench.options.size = offsetof(struct viofs_dev_options, depth);
	bench.options.depth = 77; /* something else of the program's */
	bench.queue_size = 256;
	bench_open();
	assert_int_equal(viofs_dev_info_get(bench.dev, &info), 0);
	assert_int_equal(info.depth, 128);
}

static void what_is_not_known_is_refused(void **state)
{
	struct viofs_session *session = NULL;
	struct viofs_err err = { .text = "" };
	struct viofs_dev *dev = NULL;

	viofs_dev_options_init(&program.o.dev, sizeof(struct viofs_dev_options) + MORE);
	((uint8_t *)&program)[sizeof(struct viofs_dev_options) + 5] = 1;
	assert_int_equal(viofs_dev_open("0000:00:04.0", &program.o.dev, &dev, &err), -EINVAL);
	assert_non_null(strstr(err.text, "newer"));
	program.o.dev.size = 0;
	assert_int_equal(viofs_dev_open("0000:00:04.0", &program.o.dev, &dev, &err), -EINVAL);
	assert_non_null(strstr(err.text, "viofs_dev_options_init()"));
	bench_open();
	viofs_session_options_init(&program.o.session, sizeof(struct viofs_session_options) + 8);
	((uint8_t *)&program)[sizeof(struct viofs_session_options)] = 1;
	assert_int_equal(viofs_session_open(bench.dev, &program.o.session, &session, &err),
			 -EINVAL);
	((uint8_t *)&program)[sizeof(struct viofs_session_options)] = 0;
	assert_int_equal(viofs_session_open(bench.dev, &program.o.session, &session, &err), 0);
	viofs_session_close(session);
}

static void a_requests_reserved_fields_are_for_newer_ones(void **state)
{
	struct viofs_queue *q;

	bench_open();
	q = bench_queue();
	for (unsigned int i = 0; i < 3; i++) {
		struct viofs_request *r = bench_getattr(0, 1);

		memset(&bench.completions[0], 0xee, sizeof(bench.completions[0]));
		r->reserved[i] = 1;
		assert_int_equal(viofs_queue_submit(q, r, 1), -EINVAL);
	}
	bench_getattr(0, 1)->flags = VIOFS_REQUEST_SILENT << 1;
	assert_int_equal(viofs_queue_submit(q, bench.requests, 1), -EINVAL);
	bench_send(q, 0, 1, 1);
	assert_int_equal(viofs_queue_wait(q, bench.completions, 1, 1, -1), 1);
	assert_int_equal(bench.completions[0].reserved[0] | bench.completions[0].reserved[1], 0);
}

static void the_version_is_the_projects(void **state)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", VIOFS_VERSION_MAJOR, VIOFS_VERSION_MINOR,
		 VIOFS_VERSION_PATCH);
	assert_string_equal(text, VIOFS_VERSION);
	assert_int_equal(viofs_version(), VIOFS_VERSION_NUMBER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_older_programs_struct_is_not_overrun),
		cmocka_unit_test(a_newer_programs_struct_is_zero_where_it_is_not_known),
		BOTH(an_older_programs_struct_means_the_defaults_for_the_rest),
		BOTH(what_is_not_known_is_refused),
		BOTH(a_requests_reserved_fields_are_for_newer_ones),
		cmocka_unit_test(the_version_is_the_projects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
