/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text from others, made harmless: names of files, tags, mount points, paths, a device's or a
 * worker's words. It may have any byte but NUL.
 *
 * What is changed is written as in C, by a backslash: \n, \t and the like, else three octal digits
 * for a byte (\033, \377). Three forms differ in what is changed:
 *
 *   message   Control characters (C0, DEL, C1), bytes that aren't UTF-8, and marks that turn the
 *             direction of writing or break lines. It does nothing to a terminal, and is one line.
 *             Doing it twice changes nothing: each layer may do it.
 *   name      The same, and the backslash as \\. The original can be told from it.
 *   JSON      Bytes that aren't UTF-8, and the backslash as \\. Valid UTF-8, and the original can
 *             be told from it: \\ is a backslash, \ooo a byte. (The rest is JSON's own business.)
 *
 * The message form of the JSON form is the name form.
 */
#ifndef VIOFS_BASE_TEXT_H
#define VIOFS_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum viofs_text_form {
	VIOFS_TEXT_MESSAGE,
	VIOFS_TEXT_NAME,
	VIOFS_TEXT_JSON,
};

/* Bytes that one byte may become, and room for one piece with its NUL. */
#define VIOFS_TEXT_GROWTH 4U
#define VIOFS_TEXT_PIECE 8U

/**
 * viofs_text_utf8() - the UTF-8 sequence at @s (RFC 3629: no overlong ones, no surrogates, nothing
 * above U+10FFFF)
 * @left: bytes that may be looked at, at least 1.
 * @point: out, its code point.
 * Return: its length; 0: there is none.
 */
unsigned int viofs_text_utf8(const uint8_t *s, size_t left, uint32_t *point);

/**
 * viofs_text_next() - the first character of @s in @form
 * Return: how many bytes of @s that was; 0 at its end.
 */
size_t viofs_text_next(enum viofs_text_form form, const char *s, char piece[VIOFS_TEXT_PIECE]);

/**
 * viofs_text_clean() - @text in @form
 * @out: of @size, at least 1; cut at a character's end where it is too small. Room for all is
 * VIOFS_TEXT_GROWTH times the length, and the NUL. Not @text itself.
 * Return: @out.
 */
const char *viofs_text_clean(enum viofs_text_form form, const char *text, char *out, size_t size);

#endif
