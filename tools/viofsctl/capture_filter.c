/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which packets of a capture are wanted.
 *
 * A row of steps in postfix order: comparisons put a truth onto a stack of bits, the others join
 * what lies on top.
 */
#include "capture_filter.h"
#include "base/util.h"

#include <viofs/fuse_names.h>

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STEPS_MAX 64U
#define DEPTH_MAX 32U
#define OPCODES_END 64U
#define ERRNO_END 134

enum field { KIND, OPCODE, NODEID, PID, UID, GID, ERROR, LATENCY, QUEUE, SLOT, LANE, FIELDS };

enum what { EQUAL, UNEQUAL, LESS, AT_MOST, MORE, AT_LEAST, AND, OR, NOT };

struct step {
	enum what what;
	enum field field;
	uint64_t value;
};

struct viofs_filter {
	struct step steps[STEPS_MAX];
	unsigned int count;
};

static const char *const fields[FIELDS] = { "kind",  "opcode",  "nodeid", "pid",  "uid", "gid",
					    "error", "latency", "queue",  "slot", "lane" };
static const char *const kinds[VIOFS_PACKET_KINDS] = { NULL,           "request", "reply",
						       "answer",       "kick",    "interrupt",
						       "notification", "fault" };

/* What is being read. */
struct parser {
	const char *text;
	size_t at;
	unsigned int depth;
	struct viofs_filter *f;
	char *why;
};

const char *viofs_packet_kind_name(unsigned int kind)
{
	return kind < VIOFS_PACKET_KINDS ? kinds[kind] : NULL;
}

static bool complain(struct parser *p, const char *what)
{
	snprintf(p->why, 128, "%s", what);
	return false;
}

static void skip_blanks(struct parser *p)
{
	while (isspace((unsigned char)p->text[p->at]))
		p->at++;
}

static size_t word_len(const struct parser *p)
{
	size_t len = 0;

	while (isalnum((unsigned char)p->text[p->at + len]) || p->text[p->at + len] == '_')
		len++;
	return len;
}

/* Is @word next? Then it is behind us. */
static bool read_word(struct parser *p, const char *word)
{
	skip_blanks(p);
	if (word_len(p) != strlen(word) || strncasecmp(p->text + p->at, word, strlen(word)) != 0)
		return false;
	p->at += strlen(word);
	return true;
}

static bool add(struct parser *p, enum what what, enum field field, uint64_t value)
{
	if (p->f->count == STEPS_MAX)
		return complain(p, "the expression is too long");
	p->f->steps[p->f->count++] = (struct step){ what, field, value };
	return true;
}

static bool parse_field(struct parser *p, enum field *field)
{
	skip_blanks(p);
	for (unsigned int i = 0; i < FIELDS; i++)
		if (read_word(p, fields[i])) {
			*field = i;
			return true;
		}
	return complain(p, p->text[p->at] ? "there is no such field" : "a comparison is missing");
}

static bool parse_comparison(struct parser *p, enum what *what)
{
	static const struct {
		const char *text;
		enum what what;
	} known[] = { { "==", EQUAL }, { "!=", UNEQUAL }, { "<=", AT_MOST }, { ">=", AT_LEAST },
		      { "=", EQUAL },  { "<", LESS },     { ">", MORE } };

	skip_blanks(p);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(known); i++)
		if (!strncmp(p->text + p->at, known[i].text, strlen(known[i].text))) {
			*what = known[i].what;
			p->at += strlen(known[i].text);
			return true;
		}
	return complain(p, "a comparison is due here: = != < <= > >=");
}

static bool parse_name(struct parser *p, enum field field, uint64_t *value)
{
	for (unsigned int i = 1; field == KIND && i < VIOFS_PACKET_KINDS; i++)
		if (read_word(p, kinds[i])) {
			*value = i;
			return true;
		}
	for (unsigned int i = 1; field == OPCODE && i < OPCODES_END; i++) {
		const char *name = viofs_fuse_opcode_name(i);

		if (name && read_word(p, name)) {
			*value = i;
			return true;
		}
	}
	for (int i = 1; field == ERROR && i < ERRNO_END; i++)
		if (strerrorname_np(i) && read_word(p, strerrorname_np(i))) {
			*value = (uint64_t)i;
			return true;
		}
	return complain(p, field == KIND     ? "there is no such kind of packet"
			   : field == OPCODE ? "there is no such opcode"
			   : field == ERROR  ? "there is no such error"
					     : "a number is due here");
}

/* Behind a number of a latency. */
static bool parse_unit(struct parser *p, double number, uint64_t *value)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 } };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(units); i++)
		if (word_len(p) == strlen(units[i].name) && read_word(p, units[i].name)) {
			number *= units[i].ns;
			if (number >= 1e18)
				return complain(p, "that is too long");
			*value = (uint64_t)number;
			return true;
		}
	return complain(p, "a unit is due here: ns, us, ms or s");
}

static bool parse_value(struct parser *p, enum field field, uint64_t *value)
{
	const char *from;
	char *end;

	skip_blanks(p);
	from = p->text + p->at;
	if (!isdigit((unsigned char)*from))
		return parse_name(p, field, value);
	if (field == LATENCY) {
		double number = strtod(from, &end);

		p->at += (size_t)(end - from);
		return parse_unit(p, number, value);
	}
	errno = 0;
	*value = strtoull(from, &end, 0);
	if (errno || isalnum((unsigned char)*end))
		return complain(p, "that is no number");
	p->at += (size_t)(end - from);
	return true;
}

static bool parse_or(struct parser *p);

static bool parse_one(struct parser *p)
{
	enum field field;
	enum what what;
	uint64_t value;
	bool good;

	skip_blanks(p);
	if (p->depth == DEPTH_MAX)
		return complain(p, "too many parentheses and nots");
	if (read_word(p, "not")) {
		p->depth++;
		good = parse_one(p) && add(p, NOT, FIELDS, 0);
		p->depth--;
		return good;
	}
	if (p->text[p->at] == '(') {
		p->at++;
		p->depth++;
		if (!parse_or(p))
			return false;
		p->depth--;
		skip_blanks(p);
		if (p->text[p->at] != ')')
			return complain(p, "a ) is missing");
		p->at++;
		return true;
	}
	return parse_field(p, &field) && parse_comparison(p, &what) &&
	       parse_value(p, field, &value) && add(p, what, field, value);
}

static bool parse_and(struct parser *p)
{
	if (!parse_one(p))
		return false;
	while (read_word(p, "and"))
		if (!parse_one(p) || !add(p, AND, FIELDS, 0))
			return false;
	return true;
}

static bool parse_or(struct parser *p)
{
	if (!parse_and(p))
		return false;
	while (read_word(p, "or"))
		if (!parse_and(p) || !add(p, OR, FIELDS, 0))
			return false;
	return true;
}

struct viofs_filter *viofs_filter_parse(const char *text, char why[128], size_t *at)
{
	struct parser p = { .text = text, .why = why, .f = calloc(1, sizeof(struct viofs_filter)) };
	bool good;

	*at = 0;
	if (!p.f) {
		snprintf(why, 128, "out of memory");
		return NULL;
	}
	good = parse_or(&p);
	skip_blanks(&p);
	if (good && text[p.at])
		good = complain(&p, "\"and\" or \"or\" is due here");
	*at = p.at;
	if (good)
		return p.f;
	free(p.f);
	return NULL;
}

void viofs_filter_free(struct viofs_filter *f)
{
	free(f);
}

static bool is_answered(const struct viofs_packet *p)
{
	return p->kind == VIOFS_PACKET_REPLY || p->kind == VIOFS_PACKET_ANSWER;
}

/* Return: has it this field? */
static bool get(const struct viofs_packet *p, unsigned int lane, enum field field, uint64_t *value)
{
	const bool is_request = p->kind == VIOFS_PACKET_REQUEST || p->kind == VIOFS_PACKET_REPLY;
	const uint64_t values[FIELDS] = {
		[KIND] = p->kind,
		[OPCODE] = p->opcode,
		[NODEID] = p->nodeid,
		[PID] = p->pid,
		[UID] = p->uid,
		[GID] = p->gid,
		[ERROR] = (uint64_t) - (int64_t)p->error,
		[LATENCY] = p->total_ns,
		[QUEUE] = p->queue,
		[SLOT] = p->slot,
		[LANE] = lane,
	};

	*value = values[field];
	switch (field) {
	case KIND:
	case LANE:
		return true;
	case ERROR:
		return is_answered(p);
	case LATENCY:
		return p->kind == VIOFS_PACKET_REPLY;
	case QUEUE:
		return p->kind != VIOFS_PACKET_ANSWER && p->kind != VIOFS_PACKET_NOTIFICATION;
	case OPCODE:
	case SLOT:
		return is_request || p->kind == VIOFS_PACKET_FAULT;
	default:
		return is_request;
	}
}

static bool compare(const struct step *s, const struct viofs_packet *p, unsigned int lane)
{
	uint64_t value;

	if (!get(p, lane, s->field, &value))
		return false;
	switch (s->what) {
	case EQUAL:
		return value == s->value;
	case UNEQUAL:
		return value != s->value;
	case LESS:
		return value < s->value;
	case AT_MOST:
		return value <= s->value;
	case MORE:
		return value > s->value;
	default:
		return value >= s->value;
	}
}

bool viofs_filter_matches(const struct viofs_filter *f, const struct viofs_packet *p,
			  unsigned int lane)
{
	uint64_t stack = 1;

	for (unsigned int i = 0; f && i < f->count; i++) {
		const struct step *s = &f->steps[i];
		bool top = stack & 1, below = stack >> 1 & 1;

		switch (s->what) {
		case AND:
			stack = stack >> 2 << 1 | (top && below);
			break;
		case OR:
			stack = stack >> 2 << 1 | (top || below);
			break;
		case NOT:
			stack ^= 1;
			break;
		default:
			stack = stack << 1 | compare(s, p, lane);
		}
	}
	return stack & 1;
}

bool viofs_filter_needs_reply(const struct viofs_filter *f)
{
	for (unsigned int i = 0; f && i < f->count; i++)
		if (f->steps[i].what < AND &&
		    (f->steps[i].field == ERROR || f->steps[i].field == LATENCY))
			return true;
	return false;
}
