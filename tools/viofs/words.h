/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line of the shell as words. */
#ifndef VIOFS_TOOLS_WORDS_H
#define VIOFS_TOOLS_WORDS_H

#define VIOFS_WORDS_MAX 256

struct viofs_words {
	char *words[VIOFS_WORDS_MAX + 1];
	int count;
	const char *said; /* what was wrong */
};

/**
 * viofs_words_split() - as a shell does: blanks, 'as it is', "with \" in it", back\ slash,
 * $'\n\t\\\377\xff'; # begins a comment Return: 0; -1: w->said says why. viofs_words_free() is due
 * in any case.
 */
int viofs_words_split(const char *line, struct viofs_words *w);
void viofs_words_free(struct viofs_words *w);

#endif
