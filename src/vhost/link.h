/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the back end is there, as one process knows it and tells another. */
#ifndef VIOFS_VHOST_LINK_H
#define VIOFS_VHOST_LINK_H

/** enum viofs_vhost_link_state - of a connection that is made anew when the back end is */
enum viofs_vhost_link_state {
	VIOFS_VHOST_LINK_DIRECT, /* nobody looks after it: look at the socket */
	VIOFS_VHOST_LINK_UP,
	VIOFS_VHOST_LINK_AWAY, /* the back end has gone and may come back */
	VIOFS_VHOST_LINK_LOST, /* for good */
};

#include <sys/types.h>

struct viofs_vhost_link_shared;

/** struct viofs_vhost_link - one process's end of it */
struct viofs_vhost_link {
	struct viofs_vhost_link_shared *shared; /* survives a fork */
	int fd;                                 /* an eventfd, readable from LOST on */
	pid_t owner; /* who says what has become of the back end, 0: nobody yet */
};

/** viofs_vhost_link_new() - DIRECT. Return: NULL: no memory or no descriptor. */
struct viofs_vhost_link *viofs_vhost_link_new(void);

/** viofs_vhost_link_free() - this process's part; NULL is fine. */
void viofs_vhost_link_free(struct viofs_vhost_link *l);

/** viofs_vhost_link_own() - this process looks after it, the children that it has from now on are
 * told. */
void viofs_vhost_link_own(struct viofs_vhost_link *l);

/** viofs_vhost_link_get() - as the parent says; DIRECT where there is none any more, or never was.
 */
enum viofs_vhost_link_state viofs_vhost_link_get(const struct viofs_vhost_link *l);

/** viofs_vhost_link_set() - to UP or AWAY. */
void viofs_vhost_link_set(struct viofs_vhost_link *l, enum viofs_vhost_link_state state);

/** viofs_vhost_link_reason() - of LOST; for the one who is told. */
const char *viofs_vhost_link_reason(const struct viofs_vhost_link *l);

/** viofs_vhost_link_lose() - LOST, with @reason ("has closed its socket"); who sleeps is woken. */
void viofs_vhost_link_lose(struct viofs_vhost_link *l, const char *reason);

#endif
