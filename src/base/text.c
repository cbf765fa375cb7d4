/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text from others, made harmless. */
#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

unsigned int viofs_text_utf8(const uint8_t *s, size_t left, uint32_t *point)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned int len;

	if (s[0] < 0x80) {
		*point = s[0];
		return 1;
	}
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (len > left)
		return 0;
	*point = s[0] & (0x7fU >> len);
	for (unsigned int i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (s[i] & 0x3fU);
	}
	if (*point < least[len] || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff))
		return 0;
	return len;
}

/* Characters that do something to a terminal, or to the order of what is around them. */
static bool is_harmful(uint32_t point)
{
	static const uint32_t ranges[][2] = {
		{ 0x00, 0x1f },     /* C0 */
		{ 0x7f, 0x9f },     /* DEL, C1 */
		{ 0x61c, 0x61c },   /* Arabic letter mark */
		{ 0x200e, 0x200f }, /* left-to-right, right-to-left mark */
		{ 0x2028, 0x202e }, /* line and paragraph separator, embeddings, overrides */
		{ 0x2066, 0x2069 }, /* isolates */
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (point >= ranges[i][0] && point <= ranges[i][1])
			return true;
	return false;
}

static bool stays(enum viofs_text_form form, uint32_t point)
{
	if (point == '\\')
		return form == VIOFS_TEXT_MESSAGE;
	return form == VIOFS_TEXT_JSON || !is_harmful(point);
}

size_t viofs_text_next(enum viofs_text_form form, const char *s, char piece[VIOFS_TEXT_PIECE])
{
	static const char bytes[] = "\a\b\t\n\v\f\r\\", letters[] = "abtnvfr\\";
	const uint8_t *at = (const uint8_t *)s;
	const char *known;
	uint32_t point = 0;
	unsigned int len;

	piece[0] = '\0';
	if (!*s)
		return 0;
	/* A sequence has four bytes at most, and the NUL is of none. */
	len = viofs_text_utf8(at, strnlen(s, 4), &point);
	if (len && stays(form, point)) {
		memcpy(piece, s, len);
		piece[len] = '\0';
		return len;
	}
	known = strchr(bytes, *s);
	if (known)
		snprintf(piece, VIOFS_TEXT_PIECE, "\\%c", letters[known - bytes]);
	else
		snprintf(piece, VIOFS_TEXT_PIECE, "\\%03o", at[0]);
	return 1;
}

const char *viofs_text_clean(enum viofs_text_form form, const char *text, char *out, size_t size)
{
	char piece[VIOFS_TEXT_PIECE];
	size_t at = 0, taken;

	while ((taken = viofs_text_next(form, text, piece))) {
		size_t len = strlen(piece);

		if (at + len >= size)
			break;
		memcpy(out + at, piece, len);
		at += len;
		text += taken;
	}
	out[at] = '\0';
	return out;
}
