/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon whose worker dies where it is told, linked around the real functions:
 *
 *   VIOFS_DIES_AT=POINT:N   each worker, when it comes to this point for the Nth time
 *   VIOFS_DIES_OF=OPCODE    each worker that looks at a reply of this kind
 *   VIOFS_STOPS             each that succeeds another, before it reads what that one has left
 */
#include "fuse/reply.h"
#include "kernel/devfuse.h"
#include "relay/layout.h"
#include "relay/slots.h"
#include "virtio/ring.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void pass(const char *point)
{
	static _Atomic long passes;
	const char *at = getenv("VIOFS_DIES_AT");
	size_t len = strlen(point);

	if (!at || strncmp(at, point, len) || at[len] != ':' || ++passes != atol(at + len + 1))
		return;
	/* Its filter allows that: the threads of this process. */
	syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGKILL);
}

int __real_viofs_layout_check(const struct viofs_arena *a, struct viofs_err *err);
int __wrap_viofs_layout_check(const struct viofs_arena *a, struct viofs_err *err);
int __wrap_viofs_layout_check(const struct viofs_arena *a, struct viofs_err *err)
{
	if (getenv("VIOFS_STOPS"))
		syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGSTOP);
	return __real_viofs_layout_check(a, err);
}

ssize_t __real_viofs_devfuse_read(int fd, const struct iovec *iov, int count);
ssize_t __wrap_viofs_devfuse_read(int fd, const struct iovec *iov, int count);
ssize_t __wrap_viofs_devfuse_read(int fd, const struct iovec *iov, int count)
{
	ssize_t n = __real_viofs_devfuse_read(fd, iov, count);

	if (n > 0)
		pass("read");
	return n;
}

int __real_viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain);
int __wrap_viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain);
int __wrap_viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain)
{
	int rc;

	pass("submit");
	rc = __real_viofs_ring_add(r, chain);
	pass("submitted");
	return rc;
}

void __real_viofs_ring_pop(struct viofs_ring *r, const struct viofs_ring_used *used);
void __wrap_viofs_ring_pop(struct viofs_ring *r, const struct viofs_ring_used *used);
void __wrap_viofs_ring_pop(struct viofs_ring *r, const struct viofs_ring_used *used)
{
	pass("pop");
	__real_viofs_ring_pop(r, used);
	pass("popped");
}

int __real_viofs_devfuse_reply(int fd, struct iovec *iov, int count);
int __wrap_viofs_devfuse_reply(int fd, struct iovec *iov, int count);
int __wrap_viofs_devfuse_reply(int fd, struct iovec *iov, int count)
{
	int rc;

	pass("reply");
	rc = __real_viofs_devfuse_reply(fd, iov, count);
	pass("replied");
	return rc;
}

void __real_viofs_slots_give(struct viofs_slots *s, struct viofs_slot *slot);
void __wrap_viofs_slots_give(struct viofs_slots *s, struct viofs_slot *slot);
void __wrap_viofs_slots_give(struct viofs_slots *s, struct viofs_slot *slot)
{
	__real_viofs_slots_give(s, slot);
	pass("freed");
}

int __real_viofs_fuse_reply_check(const struct viofs_fuse_shape *shape, uint64_t unique,
				  const struct fuse_out_header *head, uint32_t used_len,
				  bool used_len_zero, struct viofs_fuse_reply *out);
int __wrap_viofs_fuse_reply_check(const struct viofs_fuse_shape *shape, uint64_t unique,
				  const struct fuse_out_header *head, uint32_t used_len,
				  bool used_len_zero, struct viofs_fuse_reply *out);
int __wrap_viofs_fuse_reply_check(const struct viofs_fuse_shape *shape, uint64_t unique,
				  const struct fuse_out_header *head, uint32_t used_len,
				  bool used_len_zero, struct viofs_fuse_reply *out)
{
	const char *of = getenv("VIOFS_DIES_OF");

	if (of && shape->opcode == (uint32_t)atol(of))
		__builtin_trap();
	return __real_viofs_fuse_reply_check(shape, unique, head, used_len, used_len_zero, out);
}
