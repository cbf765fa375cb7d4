/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Standard input, output and error. */
#ifndef VIOFS_BASE_STANDARD_H
#define VIOFS_BASE_STANDARD_H

/**
 * viofs_standard_open() - let descriptors 0, 1 and 2 be open: /dev/null in place of those that are
 * not
 * For programs, before anything else. Whoever starts one with such a descriptor closed would have
 * the next file that is opened take its place: messages would go there, and a closing of standard
 * input would close it. Return: 0, or -errno: the program must not go on.
 */
int viofs_standard_open(void);

#endif
