/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single FUSE requests, written and read by the names of their fields.
 *
 * The structs of <linux/fuse.h> are rows of a table (raw_table.c), so one piece of code makes,
 * sends and prints any of them, of opcodes too that are newer than the header of the machine where
 * this is built.
 */
#ifndef VIOFS_TOOLS_RAW_H
#define VIOFS_TOOLS_RAW_H

#include <viofs/viofs.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* SETXATTR's struct where INIT has agreed on the longer one. */
#define VIOFS_RAW_LONG_SETXATTR "size:4 flags:4 setxattr_flags:4 .:4"
/* DMA memory for each direction. */
#define VIOFS_RAW_DATA 65536U

/** enum viofs_raw_flag - what a request has beside structs and names */
enum viofs_raw_flag {
	VIOFS_RAW_DATA_IN = 1,    /* data behind the struct: WRITE, IOCTL */
	VIOFS_RAW_VALUE_IN = 2,   /* data behind the names: SETXATTR */
	VIOFS_RAW_DATA_OUT = 4,   /* as many bytes as the request's size field says */
	VIOFS_RAW_TARGET_OUT = 8, /* a text of up to 4095 bytes: READLINK */
	VIOFS_RAW_SIZE_OUT = 16,  /* DATA_OUT; with size 0 the struct instead: GETXATTR */
	VIOFS_RAW_ENTRIES = 32,   /* DATA_OUT is directory entries */
	VIOFS_RAW_PLUS = 64,      /* with attributes */
	VIOFS_RAW_NO_REPLY = 128,
	VIOFS_RAW_OURS = 256, /* the session's, not to be sent by hand */
};

/**
 * struct viofs_raw_op - a row
 * @args, @reply: "name:bytes name:bytes ..."; a name of "." is padding. @names: of the names behind
 * the struct.
 */
struct viofs_raw_op {
	uint32_t opcode;
	const char *args, *names, *reply;
	unsigned int flags;
};

/** struct viofs_raw - a way to send requests, and the last of them */
struct viofs_raw {
	struct viofs_session *session;
	struct viofs_dev *dev;
	struct viofs_queue *queue;
	uint8_t *in, *out; /* DMA memory */
	bool setxattr_ext; /* INIT agreed on the longer struct */
	const struct viofs_raw_op *op;
	struct viofs_request request;
	uint8_t args[VIOFS_REQUEST_ARGS_MAX];
	uint8_t reply[VIOFS_REQUEST_REPLY_MAX];
	size_t in_size, out_room;
	/* How it ended. */
	struct viofs_completion done;
	bool answered;
	uint32_t reply_size, out_size; /* of the struct, of the data behind it */
	int64_t begin, ns;             /* when it was sent, how long it took */
	char said[160];                /* what was wrong with the words */
};

/** viofs_raw_find() - a row by the opcode's name or number, NULL: none. */
const struct viofs_raw_op *viofs_raw_find(const char *name);
const struct viofs_raw_op *viofs_raw_row(uint32_t opcode);
extern const struct viofs_raw_op viofs_raw_ops[];
extern const unsigned int viofs_raw_op_count;

/** viofs_raw_open() - Return: 0; a negative errno with @err. */
int viofs_raw_open(struct viofs_raw *r, struct viofs_session *session, struct viofs_err *err);
void viofs_raw_close(struct viofs_raw *r);

/**
 * viofs_raw_build() - a request from words
 * @words: FIELD=VALUE; beside the struct's fields: nodeid, uid, gid, pid, the names, data.
 * Return: 0; -EINVAL: r->said says why.
 */
int viofs_raw_build(struct viofs_raw *r, const struct viofs_raw_op *op, char **words, int count);

/**
 * viofs_raw_load() - a request as it was captured: header, struct, names, data
 * Return: 0; -EINVAL: r->said says why.
 */
int viofs_raw_load(struct viofs_raw *r, const uint8_t *message, uint32_t size);

/**
 * viofs_raw_send() - what was built, and wait for its end
 * @timeout_ms: 0 = as long as the device has. Return: 0, whatever the device answered; -ETIMEDOUT:
 * nothing (the request is still its); -ENODEV and others: it was not sent.
 */
int viofs_raw_send(struct viofs_raw *r, unsigned int timeout_ms);

/** viofs_raw_wait() - go on waiting for what viofs_raw_send() gave up. Return: as there. */
int viofs_raw_wait(struct viofs_raw *r, unsigned int timeout_ms);

/** viofs_raw_get() - a field of the last reply by its first name of that kind; 0 where it is
 * missing. */
uint64_t viofs_raw_get(const struct viofs_raw *r, const char *field);

/** viofs_raw_size() - bytes of a struct. */
uint32_t viofs_raw_size(const char *fields);

/** viofs_raw_args() - the row's struct, as the session has agreed on it. */
const char *viofs_raw_args(const struct viofs_raw *r, const struct viofs_raw_op *op);

/** viofs_raw_print_request(), viofs_raw_print_reply() - decoded. */
void viofs_raw_print_request(const struct viofs_raw *r, FILE *out);
void viofs_raw_print_reply(const struct viofs_raw *r, FILE *out);
/** viofs_raw_print_help() - what fields there are; @op NULL: all opcodes. */
void viofs_raw_print_help(const struct viofs_raw_op *op, FILE *out);

#endif
