/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the scenarios of the transcript share: one printed line for each operation. */
#ifndef VIOFS_TEST_TRANSCRIPT_H
#define VIOFS_TEST_TRANSCRIPT_H

#include <stddef.h>
#include <sys/types.h>

/* Users that own nothing and have no name: ids only. */
#define TRANSCRIPT_USER 4001
#define TRANSCRIPT_OTHER 4002
#define TRANSCRIPT_GROUP 5001

/**
 * transcript_line - print "scenario: label: text"
 *
 * A label occurs once in its scenario: lines of two transcripts are matched by it.
 */
void transcript_line(const char *label, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * transcript_result - print what a system call returned: its value, or the errno's name if < 0
 *
 * Return: @ret.
 */
long transcript_result(const char *label, long ret);

/**
 * transcript_fd - as transcript_result(), for calls whose value is a descriptor and says nothing
 *
 * Return: @fd.
 */
int transcript_fd(const char *label, int fd);

/**
 * transcript_stat - print type, mode, links, owner, size and device of @path itself (no times)
 */
void transcript_stat(const char *label, const char *path);

/**
 * transcript_content - print size and checksum of the bytes that read(2) finds in @path
 */
void transcript_content(const char *label, const char *path);

/**
 * transcript_make - create or overwrite @path with the string @content
 */
void transcript_make(const char *path, const char *content);

/**
 * transcript_as - run @step in a child process as @uid and @gid, in no further group
 */
void transcript_as(uid_t uid, gid_t gid, void (*step)(void));

/**
 * transcript_child - run @step in a child process and wait for it
 *
 * Return: the child's exit status, or -1 if it was killed.
 */
int transcript_child(void (*step)(void));

/**
 * transcript_checksum - FNV-1a, enough to tell two contents apart
 */
unsigned long long transcript_checksum(const void *data, size_t len, unsigned long long from);
#define TRANSCRIPT_CHECKSUM_SEED 0xcbf29ce484222325ULL

/* The scenarios, each run in a fresh directory of its own, as root, with umask 022. */
void scenario_names(void);
void scenario_links(void);
void scenario_loops(void);
void scenario_special(void);
void scenario_open(void);
void scenario_tmpfile(void);
void scenario_umask(void);
void scenario_unlinked(void);
void scenario_rename(void);
void scenario_rename_flags(void);
void scenario_holes(void);
void scenario_fallocate(void);
void scenario_truncate(void);
void scenario_offsets(void);
void scenario_copy_range(void);
void scenario_xattr(void);
void scenario_xattr_large(void);
void scenario_acl(void);
void scenario_acl_default(void);
void scenario_flock(void);
void scenario_posix_lock(void);
void scenario_ofd_lock(void);
void scenario_mode(void);
void scenario_owner(void);
void scenario_times(void);
void scenario_statx(void);
void scenario_statfs(void);
void scenario_ioctl(void);
void scenario_readdir(void);
void scenario_seekdir(void);
void scenario_append(void);
void scenario_direct(void);
void scenario_mmap(void);
void scenario_splice(void);
void scenario_sync(void);
void scenario_access(void);
void scenario_sticky(void);
void scenario_groups(void);

#endif
