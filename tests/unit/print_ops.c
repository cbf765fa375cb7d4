/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opcodes and the fields of their messages, as the dissector for Wireshark has them. */
#include "../../tools/viofs/raw.h"

#include <stdio.h>

int main(void)
{
	for (unsigned int i = 0; i < viofs_raw_op_count; i++) {
		const struct viofs_raw_op *op = &viofs_raw_ops[i];

		printf("\t[%u] = { \"%s\", \"%s\",\n\t\t\"%s\",\n\t\t\"%s\" },\n", op->opcode,
		       viofs_fuse_opcode_name(op->opcode), op->names, op->args, op->reply);
	}
	return 0;
}
