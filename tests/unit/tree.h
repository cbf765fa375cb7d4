/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory tree of a test's own, as /sys or /proc would have it. */
#ifndef TESTS_UNIT_TREE_H
#define TESTS_UNIT_TREE_H

#include <stdbool.h>
#include <stddef.h>

/* A new, empty tree; tree_remove() takes it away with all that is in it. */
void tree_make(void);
void tree_remove(void);

/* The path of @relative in the tree; good until the 8th call from here. */
const char *tree_path(const char *relative);

/* Each makes the directories on the way, and replaces what is there. */
void tree_dir(const char *relative);
void tree_file(const char *relative, const char *text);
void tree_bytes(const char *relative, const void *bytes, size_t len);
void tree_link(const char *relative, const char *target);
void tree_unlink(const char *relative);

bool tree_exists(const char *relative);

/* The text of a file, "" where there is none; good until the next call. */
const char *tree_read(const char *relative);

#endif
