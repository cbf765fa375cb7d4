/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of what the FUSE protocol has numbers for. */
#ifndef VIOFS_FUSE_NAMES_H
#define VIOFS_FUSE_NAMES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** viofs_fuse_opcode_name() - "LOOKUP", or NULL for an opcode that isn't known. Context: any
 * thread. */
const char *viofs_fuse_opcode_name(uint32_t opcode);

/**
 * viofs_fuse_init_flag_name() - a flag of FUSE_INIT as the uapi names it, without FUSE_
 * @bit: 0..63 of flags | flags2 << 32. Context: any thread. Return: "ASYNC_READ" for bit 0; NULL
 * where there is none.
 */
const char *viofs_fuse_init_flag_name(unsigned int bit);

/**
 * viofs_virtio_feature_name() - a virtio feature bit as the standard writes it
 * Return: "VIRTIO_F_VERSION_1", or NULL. Context: any thread.
 */
const char *viofs_virtio_feature_name(unsigned int bit);

#ifdef __cplusplus
}
#endif

#endif
