/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text from others on its way to terminals, logs and JSON. */
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *text, *message, *name, *json;
} forms[] = {
	{ "", "", "", "" },
	{ "/mnt/a b", "/mnt/a b", "/mnt/a b", "/mnt/a b" },
	{ "a\\b", "a\\b", "a\\\\b", "a\\\\b" },
	{ "\a\b\t\n\v\f\r", "\\a\\b\\t\\n\\v\\f\\r", "\\a\\b\\t\\n\\v\\f\\r", "\a\b\t\n\v\f\r" },
	{ "\033[2J", "\\033[2J", "\\033[2J", "\033[2J" },
	{ "x\x7f", "x\\177", "x\\177", "x\x7f" },
	/* CSI, in Latin-1 and in UTF-8 */
	{ "\x9b", "\\233", "\\233", "\\233" },
	{ "\xc2\x9b", "\\302\\233", "\\302\\233", "\xc2\x9b" },
	{ "caf\xe9", "caf\\351", "caf\\351", "caf\\351" },
	{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
	  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
	/* right to left from here */
	{ "\xe2\x80\xae", "\\342\\200\\256", "\\342\\200\\256", "\xe2\x80\xae" },
	/* overlong, a surrogate, above U+10FFFF, cut off */
	{ "\xc0\xaf", "\\300\\257", "\\300\\257", "\\300\\257" },
	{ "\xed\xa0\x80", "\\355\\240\\200", "\\355\\240\\200", "\\355\\240\\200" },
	{ "\xf4\x90\x80\x80", "\\364\\220\\200\\200", "\\364\\220\\200\\200",
	  "\\364\\220\\200\\200" },
	{ "\xe2\x82", "\\342\\202", "\\342\\202", "\\342\\202" },
};

static void each_form_is_as_it_says(void **state)
{
	char out[64];

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(forms); i++) {
		assert_string_equal(
			viofs_text_clean(VIOFS_TEXT_MESSAGE, forms[i].text, out, sizeof(out)),
			forms[i].message);
		assert_string_equal(
			viofs_text_clean(VIOFS_TEXT_NAME, forms[i].text, out, sizeof(out)),
			forms[i].name);
		assert_string_equal(
			viofs_text_clean(VIOFS_TEXT_JSON, forms[i].text, out, sizeof(out)),
			forms[i].json);
	}
}

static void point_to_text(uint32_t point, char out[5])
{
	unsigned int more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
	static const uint32_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };

	memset(out, 0, 5);
	out[0] = (char)(lead[more] | point >> 6 * more);
	for (unsigned int i = 1; i <= more; i++)
		out[i] = (char)(0x80 | (point >> 6 * (more - i) & 0x3f));
}

/* The first and last of each length, and of what is no character. */
static void what_is_utf8_begins_and_ends_where_unicode_says(void **state)
{
	static const struct {
		uint32_t point;
		bool valid;
	} cases[] = {
		{ 0x7f, true },   { 0x80, true },    { 0x7ff, true },    { 0x800, true },
		{ 0xd7ff, true }, { 0xd800, false }, { 0xdfff, false },  { 0xe000, true },
		{ 0xffff, true }, { 0x10000, true }, { 0x10ffff, true }, { 0x110000, false },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		char text[5];
		uint32_t point;
		unsigned int n;

		point_to_text(cases[i].point, text);
		n = viofs_text_utf8((const uint8_t *)text, strlen(text), &point);
		assert_int_equal(n, cases[i].valid ? strlen(text) : 0);
		assert_true(!n || point == cases[i].point);
	}
}

/* No less than these, and no more: others are letters of somebody's. */
static void what_moves_a_cursor_or_turns_a_line_is_escaped(void **state)
{
	static const uint32_t ranges[][2] = { { 1, 0x1f },        { 0x7f, 0x9f },
					      { 0x61c, 0x61c },   { 0x200e, 0x200f },
					      { 0x2028, 0x202e }, { 0x2066, 0x2069 } };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(ranges); i++)
		for (uint32_t point = ranges[i][0] - 1; point <= ranges[i][1] + 1; point++) {
			bool harmful = point >= ranges[i][0] && point <= ranges[i][1];
			char text[5], out[32];

			if (!point)
				continue;
			point_to_text(point, text);
			viofs_text_clean(VIOFS_TEXT_MESSAGE, text, out, sizeof(out));
			assert_int_equal(out[0] == '\\', harmful);
			if (!harmful)
				assert_string_equal(out, text);
		}
}

/* As who reads JSON does it. */
static void undo(const char *s, char *out)
{
	while (*s) {
		char digits[4] = { 0 };

		if (*s != '\\') {
			*out++ = *s++;
		} else if (s[1] == '\\') {
			*out++ = '\\';
			s += 2;
		} else {
			memcpy(digits, s + 1, 3);
			*out++ = (char)strtol(digits, NULL, 8);
			s += 4;
		}
	}
	*out = '\0';
}

/* Every one of 1 to 4 bytes out of those that matter, and text of any bytes. */
static void any_text(unsigned int number, char out[5])
{
	static const char bytes[] = "\\n0\x1b\x7f\x80\x9b\xae\xbf\xc2\xe2\xed\xf0\xf4\xff";
	unsigned int base = sizeof(bytes) - 1, at = 0;

	for (; at < 4 && number; number /= base)
		out[at++] = bytes[number % base];
	out[at] = '\0';
}

static void the_json_form_is_utf8_and_can_be_undone(void **state)
{
	char text[5], json[32], back[32];

	for (unsigned int i = 0; i < 50625; i++) {
		uint32_t point;

		any_text(i, text);
		viofs_text_clean(VIOFS_TEXT_JSON, text, json, sizeof(json));
		undo(json, back);
		assert_string_equal(back, text);
		for (const char *s = json; *s;) {
			unsigned int n = viofs_text_utf8((const uint8_t *)s, strlen(s), &point);

			assert_int_not_equal(n, 0);
			s += n;
		}
	}
}

static void the_message_form_is_harmless_and_does_not_change_again(void **state)
{
	char text[5], once[32], twice[32], name[32], json[32];

	for (unsigned int i = 0; i < 50625; i++) {
		any_text(i, text);
		viofs_text_clean(VIOFS_TEXT_MESSAGE, text, once, sizeof(once));
		for (const char *s = once; *s; s++)
			assert_true((unsigned char)*s >= ' ' && *s != 0x7f);
		viofs_text_clean(VIOFS_TEXT_MESSAGE, once, twice, sizeof(twice));
		assert_string_equal(once, twice);
		viofs_text_clean(VIOFS_TEXT_JSON, text, json, sizeof(json));
		viofs_text_clean(VIOFS_TEXT_MESSAGE, json, once, sizeof(once));
		viofs_text_clean(VIOFS_TEXT_NAME, text, name, sizeof(name));
		assert_string_equal(once, name);
	}
}

static void too_little_room_cuts_between_characters(void **state)
{
	char out[8];

	assert_string_equal(viofs_text_clean(VIOFS_TEXT_NAME, "ab\xff", out, 6), "ab");
	assert_string_equal(viofs_text_clean(VIOFS_TEXT_NAME, "ab\xff", out, 7), "ab\\377");
	assert_string_equal(viofs_text_clean(VIOFS_TEXT_NAME, "ab\xe2\x82\xac", out, 5), "ab");
	assert_string_equal(viofs_text_clean(VIOFS_TEXT_NAME, "ab", out, 1), "");
}

static void an_error_is_one_harmless_line(void **state)
{
	struct viofs_err err;
	char name[600];

	assert_int_equal(viofs_err_set(&err, -5, "%s: no", "a\n\033[2J\xff"), -5);
	assert_string_equal(err.text, "a\\n\\033[2J\\377: no");
	assert_int_equal(viofs_err_prefix(&err, -6, "%s", "b\r"), -6);
	assert_string_equal(err.text, "b\\r: a\\n\\033[2J\\377: no");
	/* Cut in the middle of a character: 507 is no multiple of 2. */
	for (size_t i = 0; i < sizeof(name) - 1; i++)
		name[i] = i & 1 ? '\xa9' : '\xc3';
	name[sizeof(name) - 1] = '\0';
	viofs_err_set(&err, -5, "%s", name);
	assert_int_equal(strlen(err.text), 506);
	assert_null(strchr(err.text, '\\'));
	viofs_err_set(NULL, -5, "%s", name);
	viofs_err_prefix(NULL, -5, "%s", name);
}

static char said[2048];

static void take(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	strncpy(said, message, sizeof(said) - 1);
}

static void a_logged_message_is_one_harmless_line(void **state)
{
	viofs_log_set_sink(take, VIOFS_LOG_DEBUG);
	viofs_error("%s is in the way", "/mnt/\033]0;root\a\xfe");
	assert_string_equal(said, "/mnt/\\033]0;root\\a\\376 is in the way");
}

/* Each front end has its own words for it, or none. */
static void a_remedy_is_said_behind_the_fact_by_who_has_one(void **state)
{
	static const char *const mine[VIOFS_REMEDIES] = { [VIOFS_REMEDY_ONE_LANE] = "Say one." };
	static const char *const theirs[VIOFS_REMEDIES] = { [VIOFS_REMEDY_ONE_LANE] = "Ask." };
	struct viofs_err err;

	viofs_err_set(&err, -5, "It fails.");
	viofs_err_advise(&err, mine);
	assert_string_equal(err.text, "It fails.");
	assert_int_equal(viofs_err_remedy(&err, -5, VIOFS_REMEDY_ONE_LANE), -5);
	viofs_err_advise(&err, mine);
	assert_string_equal(err.text, "It fails. Say one.");
	viofs_err_prefix(&err, -5, "here");
	assert_string_equal(err.text, "here: It fails. Say one.");
	assert_int_equal(err.fact, strlen("here: It fails."));
	viofs_err_advise(&err, theirs);
	assert_string_equal(err.text, "here: It fails. Ask.");
	viofs_err_remedy(&err, -5, VIOFS_REMEDY_ANY_RING);
	viofs_err_advise(&err, mine);
	assert_string_equal(err.text, "here: It fails.");
	/* The next error has nothing of this one. */
	viofs_err_set(&err, -5, "Another.");
	viofs_err_advise(&err, mine);
	assert_string_equal(err.text, "Another.");
	assert_int_equal(viofs_err_remedy(NULL, -5, VIOFS_REMEDY_ONE_LANE), -5);
	viofs_err_advise(NULL, mine);
}

static void advice_that_has_no_room_is_cut_off(void **state)
{
	static const char *const mine[VIOFS_REMEDIES] = { [VIOFS_REMEDY_ONE_LANE] = "Say one." };
	struct viofs_err err;
	char fact[600];

	memset(fact, 'x', sizeof(fact));
	fact[sizeof(fact) - 1] = '\0';
	viofs_err_set(&err, -5, "%s", fact);
	viofs_err_remedy(&err, -5, VIOFS_REMEDY_ONE_LANE);
	viofs_err_advise(&err, mine);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	/* Whoever filled that in. */
	err.remedy = 999;
	viofs_err_advise(&err, mine);
	err.remedy = VIOFS_REMEDY_ONE_LANE;
	err.fact = 9999;
	viofs_err_advise(&err, mine);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_as_it_says),
		cmocka_unit_test(what_moves_a_cursor_or_turns_a_line_is_escaped),
		cmocka_unit_test(what_is_utf8_begins_and_ends_where_unicode_says),
		cmocka_unit_test(the_json_form_is_utf8_and_can_be_undone),
		cmocka_unit_test(the_message_form_is_harmless_and_does_not_change_again),
		cmocka_unit_test(too_little_room_cuts_between_characters),
		cmocka_unit_test(an_error_is_one_harmless_line),
		cmocka_unit_test(a_logged_message_is_one_harmless_line),
		cmocka_unit_test(a_remedy_is_said_behind_the_fact_by_who_has_one),
		cmocka_unit_test(advice_that_has_no_room_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
