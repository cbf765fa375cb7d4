/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Misbehaviour: what the device does wrong, and when. */
#ifndef DEV_EVIL_H
#define DEV_EVIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dev;
struct dev_request;

/**
 * dev_evil_add() - from now on, "NAME[@OPCODE][*]": at the next request (of that opcode), or at
 * every one Return: 0, or -EINVAL: there is no such thing.
 */
int dev_evil_add(struct dev *d, const char *text);

/** dev_evil_clear() - no more of it. */
void dev_evil_clear(struct dev *d);

/** dev_evil_add_message() - "NAME=close|half|mute|refuse|garbage|wrong|unasked", NAME of vhost-user
 */
int dev_evil_add_message(struct dev *d, const char *text);

/** dev_evil_list() - all names, for --help. */
const char *dev_evil_list(void);

/* Where it happens. Each returns true where the caller is to do nothing more. */
/** a message has come, before it is handled */
bool dev_evil_message(struct dev *d, unsigned int request);
/** a reply to a message is about to be sent */
bool dev_evil_reply_message(struct dev *d, unsigned int request, void *bytes, size_t len);
/** what an acknowledgement says */
int dev_evil_ack(struct dev *d, unsigned int request, int rc);
/** a reply is made, not yet written */
void dev_evil_reply(struct dev *d, struct dev_request *r);
/** a reply was written, its used entry not */
bool dev_evil_complete(struct dev *d, struct dev_request *r);
/** is @r to be kept, to go on writing into it? */
bool dev_evil_keeps(struct dev *d, struct dev_request *r);

#endif
