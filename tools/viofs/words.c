/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line of the shell as words.
 *
 * Words are copies, and the caller's until viofs_words_free().
 */
#include "words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A letter behind a backslash in $''. Return: what follows it. */
static const char *special(const char *s, char *out)
{
	static const char from[] = "abtnvfr", to[] = "\a\b\t\n\v\f\r";
	const char *known = *s ? strchr(from, *s) : NULL;
	unsigned int value = 0, digits = 0;

	if (known) {
		*out = to[known - from];
		return s + 1;
	}
	if (*s == 'x') {
		char hex[3] = "", *end;

		memcpy(hex, s + 1, strnlen(s + 1, 2));
		*(unsigned char *)out = (unsigned char)strtoul(hex, &end, 16);
		return s + 1 + (end - hex);
	}
	for (; digits < 3 && s[digits] >= '0' && s[digits] <= '7'; digits++)
		value = value * 8 + (unsigned int)(s[digits] - '0');
	*(unsigned char *)out = digits ? (unsigned char)value : (unsigned char)*s;
	return s + (digits ? digits : *s ? 1 : 0);
}

/* What is between quotes: @s is behind the first. Return: behind the last, NULL: there is none. */
static const char *quoted(const char *s, char quote, bool letters, char **out)
{
	while (*s && *s != quote) {
		if (*s == '\\' && letters)
			s = special(s + 1, (*out)++);
		else if (*s == '\\' && quote == '"' && (s[1] == '"' || s[1] == '\\'))
			*(*out)++ = *++s, s++;
		else
			*(*out)++ = *s++;
	}
	return *s ? s + 1 : NULL;
}

/* One word at @s into @out, which has room for all of the line. Return: behind it, NULL: a quote is
 * missing. */
static const char *word(const char *s, char *out)
{
	while (s && *s && !strchr(" \t\n", *s)) {
		if (*s == '\'')
			s = quoted(s + 1, '\'', false, &out);
		else if (*s == '"')
			s = quoted(s + 1, '"', false, &out);
		else if (*s == '$' && s[1] == '\'')
			s = quoted(s + 2, '\'', true, &out);
		else if (*s == '\\' && s[1])
			*out++ = s[1], s += 2;
		else
			*out++ = *s++;
	}
	*out = '\0';
	return s;
}

int viofs_words_split(const char *line, struct viofs_words *w)
{
	memset(w, 0, sizeof(*w));
	for (;;) {
		char *out;

		line += strspn(line, " \t\n");
		if (!*line || *line == '#')
			return 0;
		out = w->count < VIOFS_WORDS_MAX ? malloc(strlen(line) + 1) : NULL;
		if (!out) {
			w->said = "The line has too many words.";
			return -1;
		}
		w->words[w->count++] = out;
		line = word(line, out);
		if (!line) {
			w->said = "A quote is missing.";
			return -1;
		}
	}
}

void viofs_words_free(struct viofs_words *w)
{
	for (int i = 0; i < w->count; i++)
		free(w->words[i]);
	w->count = 0;
}
