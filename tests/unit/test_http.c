/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The head of a request for metrics: where it ends, what is wanted, and what is refused. */
#include "../../tools/viofsctl/http_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOST "Host: x\r\n"
#define AT_IT "GET /metrics HTTP/1.1\r\n" HOST
#define OPEN "Accept: application/openmetrics-text"

/* In a heap block of just that size, for the sanitizer. */
static int parse_bytes(const char *text, size_t len, struct viofs_http_request *r)
{
	char *copy = malloc(len);
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	assert_int_equal(viofs_http_end(copy, len), len);
	rc = viofs_http_parse(copy, len, r);
	free(copy);
	return rc;
}

static int parse(const char *text)
{
	struct viofs_http_request r = { true, true };
	int rc = parse_bytes(text, strlen(text), &r);

	if (rc)
		assert_true(r.head && r.open);
	return rc;
}

static bool is_open(const char *fields)
{
	struct viofs_http_request r;
	char text[1024];
	int n = snprintf(text, sizeof(text), AT_IT "%s\r\n", fields);

	assert_int_equal(parse_bytes(text, (size_t)n, &r), 0);
	return r.open;
}

static void head_ends_with_an_empty_line(void **state)
{
	static const char whole[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
	size_t len = strlen(whole);

	(void)state;
	for (size_t i = 0; i < len; i++)
		assert_int_equal(viofs_http_end(whole, i), 0);
	assert_int_equal(viofs_http_end(whole, len), len);
	assert_int_equal(viofs_http_end("a\n\nmore", 7), 3);
	assert_int_equal(viofs_http_end("a\n\r\nmore", 8), 4);
	assert_int_equal(viofs_http_end("a\r\rb\n\rc\n", 8), 0);
}

static void metrics_are_served(void **state)
{
	struct viofs_http_request r = { true, true };

	(void)state;
	assert_int_equal(parse_bytes(AT_IT "\r\n", strlen(AT_IT "\r\n"), &r), 0);
	assert_false(r.head || r.open);
	assert_int_equal(parse_bytes("HEAD /metrics?a=b HTTP/1.0\n\n", 28, &r), 0);
	assert_true(r.head);
	assert_int_equal(parse("GET /metrics HTTP/1.0\r\nhost:y\r\n\r\n"), 0);
	assert_int_equal(parse("GET /metrics HTTP/1.9\r\nX:\r\n" HOST "\r\n"), 0);
}

static void another_target_is_not_found(void **state)
{
	(void)state;
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n"), 404);
	assert_int_equal(parse("GET /metrics/ HTTP/1.0\r\n\r\n"), 404);
	assert_int_equal(parse("GET ?/metrics HTTP/1.0\r\n\r\n"), 404);
	assert_int_equal(parse("POST /../metrics HTTP/1.0\r\n\r\n"), 404);
}

static void another_method_is_not_allowed(void **state)
{
	(void)state;
	assert_int_equal(parse("POST /metrics HTTP/1.0\r\n\r\n"), 405);
	assert_int_equal(parse("get /metrics HTTP/1.0\r\n\r\n"), 405);
	assert_int_equal(parse("GETS /metrics HTTP/1.1\r\n" HOST "\r\n"), 405);
}

static void what_is_no_request_is_refused(void **state)
{
	static const char *const bad[] = {
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET /metrics\r\n\r\n",
		" /metrics HTTP/1.0\r\n\r\n",
		"GET  HTTP/1.0\r\n\r\n",
		"GET  /metrics HTTP/1.0\r\n\r\n",
		"GET /metrics HTTP/1.0 \r\n\r\n",
		"GET /metrics HTTP/2.0\r\n\r\n",
		"GET /metrics HTTP/1.x\r\n\r\n",
		"GET /metrics HTTP/1.\r\n\r\n",
		"GET /metrics HTTP/1.10\r\n" HOST "\r\n",
		"GET /metrics HTTP/1.1\r\n\r\n",
		AT_IT HOST "\r\n",
		"GET /metrics HTTP/1.0\r\n" HOST HOST "\r\n",
		AT_IT "no colon\r\n\r\n",
		AT_IT "word\r\n\r\n",
		AT_IT "space : x\r\n\r\n",
		AT_IT ": x\r\n\r\n",
		AT_IT " folded: x\r\n\r\n",
	};
	struct viofs_http_request r;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i]) != 400)
			fail_msg("taken: %s", bad[i]);
	/* A NUL hides nothing behind it. */
	assert_int_equal(parse_bytes("GET /metrics HTTP/1.0\0x\r\n\r\n", 27, &r), 400);
	assert_int_equal(parse_bytes(AT_IT "a: \0\n" HOST "\n", strlen(AT_IT HOST) + 6, &r), 400);
	/* A head that was too long. */
	assert_int_equal(viofs_http_parse((char[]){ "GET" }, 0, &r), 400);
	assert_int_equal(viofs_http_parse((char[]){ "GET" }, 3, &r), 400);
}

static void openmetrics_is_for_who_takes_it(void **state)
{
	static const char *const yes[] = {
		OPEN "\r\n",
		"ACCEPT:\tapplication/OpenMetrics-text ; version=1.0.0 ; q=0.5 \r\n",
		"Accept: text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.001\r\n",
		"Accept: text/plain\r\n" OPEN "\r\n",
		OPEN ";version=0.0.1, application/openmetrics-text\r\n",
	};
	static const char *const no[] = {
		"",
		"Accept: */*\r\n",
		"Accept: text/plain;version=0.0.4\r\n",
		OPEN ";version=0.0.1\r\n",
		OPEN ";version=1.0.01\r\n",
		OPEN ";q=0\r\n",
		OPEN ";version=1.0.0;q=0.000\r\n",
		OPEN "s\r\n",
		"Accept: ,;,;;,\r\n",
		"Accept:\r\n",
		"X-Accept: application/openmetrics-text\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!is_open(yes[i]))
			fail_msg("no OpenMetrics for: %s", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (is_open(no[i]))
			fail_msg("OpenMetrics for: %s", no[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_ends_with_an_empty_line),
		cmocka_unit_test(metrics_are_served),
		cmocka_unit_test(another_target_is_not_found),
		cmocka_unit_test(another_method_is_not_allowed),
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(openmetrics_is_for_who_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
