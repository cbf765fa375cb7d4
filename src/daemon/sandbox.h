/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's rights: given up once, before it reads anything that a device wrote. */
#ifndef VIOFS_DAEMON_SANDBOX_H
#define VIOFS_DAEMON_SANDBOX_H

#include "base/err.h"
#include "viofs_config.h"

#include <stdbool.h>

/* Our filters don't allow what sanitizers need at run time: is this file compiled with them? */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VIOFS_SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define VIOFS_SANDBOX_SANITIZED 1
#endif
#endif
#ifndef VIOFS_SANDBOX_SANITIZED
#define VIOFS_SANDBOX_SANITIZED                                                                    \
	VIOFS_SANITIZED /* gcc doesn't tell -fsanitize=undefined: the build does */
#endif

/** enum viofs_seccomp - what happens to a process that makes a system call it doesn't need */
enum viofs_seccomp {
	VIOFS_SECCOMP_KILL, /* killed, by SIGSYS */
	VIOFS_SECCOMP_LOG,  /* allowed, and logged by the kernel */
	VIOFS_SECCOMP_NONE, /* no filter */
};

/** struct viofs_sandbox_config - how much to give up */
struct viofs_sandbox_config {
	enum viofs_seccomp seccomp;
	bool debug; /* core files, and debuggers of the same user, are wanted */
	bool epoll; /* the worker waits by epoll, not by io_uring */
};

/**
 * viofs_sandbox_enter() - give up what relaying doesn't need; there is no way back
 * Afterwards: no capabilities (but CAP_IPC_LOCK, where it is there and RLIMIT_MEMLOCK can't be
 * raised; where neither is possible what is allocated later isn't locked), none to be
 * had by execve(2) (NoNewPrivs, empty bounding set), no new descriptors (RLIMIT_NOFILE), no core
 * file, and the system calls of the table in sandbox.c only. A build with sanitizers has no filter
 * and keeps its limits; what a build lacks is said in a warning. Context: the process has one
 * thread; threads that it starts later are covered. Return: 0; -errno with @err: the process must
 * not go on.
 */
int viofs_sandbox_enter(const struct viofs_sandbox_config *config, struct viofs_err *err);

/** viofs_sandbox_seccomp_default() - kill, or none in a build without libseccomp. */
enum viofs_seccomp viofs_sandbox_seccomp_default(void);

/** viofs_seccomp_name() - "kill", "log", "none". */
const char *viofs_seccomp_name(enum viofs_seccomp seccomp);

#endif
