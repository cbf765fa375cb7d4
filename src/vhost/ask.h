/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exchanges with a back end, each bounded in time. Private to src/vhost. */
#ifndef VIOFS_VHOST_ASK_H
#define VIOFS_VHOST_ASK_H

#include "vhost/vhost.h"
#include "vhost/wire.h"

/*
 * All return 0; or -errno, and v->lost is set: -ECONNRESET: the back end closed its socket;
 * -ETIMEDOUT: it doesn't answer; -EPROTO: what it answers is no answer; -EREMOTEIO: it refuses;
 * -ENODEV: it was lost before.
 */

/** viofs_vhost_ask() - send @m, and take the reply into it. */
int viofs_vhost_ask(struct viofs_vhost *v, struct viofs_vhost_message *m);
/** viofs_vhost_ask_with_fd() - and the descriptor that comes with it into @fd, where that is not
 * NULL. */
int viofs_vhost_ask_with_fd(struct viofs_vhost *v, struct viofs_vhost_message *m, int *fd);
/** viofs_vhost_ask_u64() - a request without a payload, answered by a number. */
int viofs_vhost_ask_u64(struct viofs_vhost *v, enum viofs_vhost_request request, uint64_t *value);

/** viofs_vhost_tell() - send @m, with @fd where that is not -1, and learn that the back end took
 * it. */
int viofs_vhost_tell(struct viofs_vhost *v, const struct viofs_vhost_message *m, int fd);
int viofs_vhost_tell_u64(struct viofs_vhost *v, enum viofs_vhost_request request, uint64_t value,
			 int fd);
/** viofs_vhost_tell_state() - something about the ring @index. */
int viofs_vhost_tell_state(struct viofs_vhost *v, enum viofs_vhost_request request,
			   unsigned int index, unsigned int num);

/**
 * viofs_vhost_agree() - on the protocol features @taken, and who owns the device
 * @queues: out, virtqueues that the back end can have; 0: it doesn't say.
 */
int viofs_vhost_agree(struct viofs_vhost *v, uint64_t taken, uint64_t *queues);
/** viofs_vhost_tell_memory() - the memory table, of v->memory alone. */
int viofs_vhost_tell_memory(struct viofs_vhost *v);
/** viofs_vhost_memory_init() - the mapper of @v. */
void viofs_vhost_memory_init(struct viofs_vhost *v);
/** viofs_vhost_tell_inflight() - the memory in which what is in flight is noted. */
int viofs_vhost_tell_inflight(struct viofs_vhost *v);

/** viofs_vhost_lose() - @request came to -errno @rc: say so in v->lost. Return: @rc. */
int viofs_vhost_lose(struct viofs_vhost *v, enum viofs_vhost_request request, int rc);

#endif
