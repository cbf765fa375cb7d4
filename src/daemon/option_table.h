/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's options as one table. Parsing and --help go through it, and the test `docs` compares
 * the manual page and the guide with it.
 */
#ifndef VIOFS_DAEMON_OPTION_TABLE_H
#define VIOFS_DAEMON_OPTION_TABLE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct viofs_options;

/** enum viofs_option_kind - what a value is, and the type of the field that it is stored in */
enum viofs_option_kind {
	VIOFS_OPTION_FLAG,   /* no value; bool */
	VIOFS_OPTION_NUMBER, /* uint32_t */
	VIOFS_OPTION_SIZE,   /* bytes, K, M or G may follow the number; uint64_t */
	VIOFS_OPTION_CHOICE, /* one of several words; an enum, words are in its order */
	VIOFS_OPTION_CPUS,   /* cpu_set_t */
};

/** struct viofs_option_word - a value that can be chosen, with its line of --help */
struct viofs_option_word {
	const char *name, *help;
};

/** struct viofs_option - one option */
struct viofs_option {
	const char *name;  /* switches begin with '-', all others are words for -o */
	const char *alias; /* another spelling; NULL: none */
	enum viofs_option_kind kind;
	size_t offset;        /* of the field in struct viofs_options */
	uint64_t min, max;    /* NUMBER, and SIZE; max 0: the bounds depend on other options */
	uint32_t scale;       /* the field holds so many units for each of the value; 0: one */
	const char *standard; /* the default in words; NULL: a flag, or the first of @words */
	const char *value;    /* what --help shows for the value */
	const char *help;     /* NULL: each word has its own */
	const struct viofs_option_word *words; /* CHOICE; the last one has no name */
};

/** viofs_option_table() - all options, in the order of --help. Return: how many. */
size_t viofs_option_table(const struct viofs_option **table);

/**
 * viofs_option_find() - the option of a word such as "spin=300" or "-f"
 * @value: where the value begins in @word; NULL for a flag.
 * Return: NULL: there is no such option, or it lacks its value.
 */
const struct viofs_option *viofs_option_find(const char *word, const char **value);

/**
 * viofs_option_set() - check a value and store it in @o
 * Return: 0; -EINVAL, and @err says what is needed.
 */
int viofs_option_set(const struct viofs_option *option, const char *value, struct viofs_options *o,
		     struct viofs_err *err);

/** viofs_option_choice() - the word of @option's value @chosen, "adaptive" for example. */
const char *viofs_option_choice(const char *option, unsigned int chosen);

/** viofs_option_size() - "512K" for a number of bytes. Return: @buf. */
const char *viofs_option_size(uint64_t bytes, char *buf, size_t size);

/** viofs_option_print_help() - the lines of --help for the switches, or for the words of -o. */
void viofs_option_print_help(FILE *out, bool switches);

#endif
