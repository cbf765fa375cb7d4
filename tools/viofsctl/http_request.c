/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The head of an HTTP request for metrics. It comes from whoever may connect. */
#include "http_request.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define TARGET "/metrics"
#define SPACE " \t"

/* What the fields say. */
struct fields {
	unsigned int hosts;
	bool open;
};

size_t viofs_http_end(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char *next = &text[i + 1];
		size_t left = len - i - 1;

		if (text[i] != '\n')
			continue;
		if (left >= 1 && next[0] == '\n')
			return i + 2;
		if (left >= 2 && next[0] == '\r' && next[1] == '\n')
			return i + 3;
	}
	return 0;
}

/* The line at *@text, ended by a NUL; *@text: the next one. */
static char *cut_line(char **text)
{
	char *line = strsep(text, "\n");
	size_t len = strlen(line);

	if (len && line[len - 1] == '\r')
		line[len - 1] = '\0';
	return line;
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, SPACE);
	len = strlen(text);
	while (len && strchr(SPACE, text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* A parameter of OpenMetrics' media type: is it the version we have, and wanted at all (q)? */
static bool parameter_fits(const char *parameter)
{
	if (!strncasecmp(parameter, "version=", strlen("version=")))
		return !strcmp(parameter + strlen("version="), "1.0.0");
	if (!strncasecmp(parameter, "q=", strlen("q=")))
		return parameter[strlen("q=") + strspn(parameter + strlen("q="), "0.")];
	return true;
}

/* Whoever takes OpenMetrics gets it, whatever else they would like better. */
static bool takes_open(char *value)
{
	char *range, *parameter;

	while ((range = strsep(&value, ","))) {
		bool fits = !strcasecmp(trim(strsep(&range, ";")), "application/openmetrics-text");

		while (fits && (parameter = strsep(&range, ";")))
			fits = parameter_fits(trim(parameter));
		if (fits)
			return true;
	}
	return false;
}

/* Return: is it one? */
static bool parse_field(char *line, struct fields *f)
{
	size_t name = strcspn(line, ":" SPACE);
	char *value = line + name + 1;

	if (!name || line[name] != ':')
		return false;
	line[name] = '\0';
	f->hosts += !strcasecmp(line, "Host");
	if (!strcasecmp(line, "Accept"))
		f->open |= takes_open(value);
	return true;
}

static bool is_version(const char *text)
{
	return text && !strncmp(text, "HTTP/1.", strlen("HTTP/1.")) &&
	       isdigit((unsigned char)text[strlen("HTTP/1.")]) && !text[strlen("HTTP/1.0")];
}

int viofs_http_parse(char *text, size_t len, struct viofs_http_request *r)
{
	struct fields f = { 0, false };
	char *line, *method, *target;

	if (!len || text[len - 1] != '\n' || memchr(text, '\0', len))
		return 400;
	text[len - 1] = '\0';
	line = cut_line(&text);
	method = strsep(&line, " ");
	target = strsep(&line, " ");
	if (!*method || !target || !*target || !is_version(line))
		return 400;
	while (text && *text && *text != '\r')
		if (!parse_field(cut_line(&text), &f))
			return 400;
	/* HTTP/1.0 has none, or one. */
	if (f.hosts > 1 || (!f.hosts && strcmp(line, "HTTP/1.0") != 0))
		return 400;
	target[strcspn(target, "?")] = '\0';
	if (strcmp(target, TARGET) != 0)
		return 404;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return 405;
	r->head = !strcmp(method, "HEAD");
	r->open = f.open;
	return 0;
}
