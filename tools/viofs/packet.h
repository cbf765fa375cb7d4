/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A captured packet as it is written: the data of an enhanced packet block of pcapng.
 *
 * Link type USER0 (147). All numbers are little-endian. docs/capture.md is for those who read such
 * files; another form of this struct gets another version.
 */
#ifndef VIOFS_TOOLS_PACKET_H
#define VIOFS_TOOLS_PACKET_H

#include <stdint.h>

#define VIOFS_PACKET_LINKTYPE 147U
#define VIOFS_PACKET_VERSION 1U
/* packet.flags: SETXATTR has the longer struct. */
#define VIOFS_PACKET_LONG_SETXATTR 1U

/** enum viofs_packet_kind - what it is about */
enum viofs_packet_kind {
	VIOFS_PACKET_REQUEST = 1,
	VIOFS_PACKET_REPLY,
	VIOFS_PACKET_ANSWER,
	VIOFS_PACKET_KICK,
	VIOFS_PACKET_INTERRUPT,
	VIOFS_PACKET_NOTIFICATION,
	VIOFS_PACKET_FAULT,
	VIOFS_PACKET_KINDS,
};

/** struct viofs_packet - before the bytes of the message */
struct viofs_packet {
	uint8_t version, kind;
	uint16_t queue, slot, flags;
	uint32_t header; /* bytes of this struct */
	uint32_t len;    /* of the message, as it was; of an interrupt: how many */
	uint64_t kernel_unique, device_unique, nodeid;
	uint32_t opcode;
	int32_t error; /* -errno, of replies and answers; of a notification: its code */
	uint32_t uid, gid, pid;
	uint32_t fixed;     /* of a reply: bytes of its struct */
	uint64_t waited_ns; /* of a request: read, but not sent */
	uint64_t device_ns; /* of a reply: in the device */
	uint64_t total_ns;  /* of a reply: from read to reply */
};

_Static_assert(sizeof(struct viofs_packet) == 88, "no padding");

#endif
