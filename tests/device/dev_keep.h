/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A back end that keeps its state: what it did is in a file, and the next one does it again. */
#ifndef DEV_KEEP_H
#define DEV_KEEP_H

#include <stdbool.h>
#include <time.h>

struct dev;
struct dev_request;

/** dev_keep_open() - do again what is in @path, and go on there. Return: 0; -errno. */
int dev_keep_open(struct dev *d, const char *path);
/** dev_keep_begin() - a request is about to be run: what time it is for it. */
void dev_keep_begin(void);
/** dev_keep_now() - that time. */
void dev_keep_now(struct timespec *now);
/** dev_keep_note() - a request was run, its reply is complete but not given yet. */
void dev_keep_note(const struct dev_request *r);
/** dev_keep_recall() - was @r run by the one before? Then its reply is what that said. */
bool dev_keep_recall(struct dev_request *r);

#endif
