/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which packets of a capture are wanted.
 *
 *   expression: FIELD OP VALUE, joined by `and`, `or`, `not` and parentheses; `not` binds closest,
 *               then `and`
 *   FIELD:      kind opcode nodeid pid uid gid error latency queue slot lane
 *   OP:         = == != < <= > >=
 *   VALUE:      a number; of opcode and kind their names; of error ENOENT or 2; of latency with us,
 *               ms, s or ns behind it
 *
 * What has no such field (a kick has no opcode, a request no error yet) doesn't match, whatever is
 * asked of it.
 */
#ifndef VIOFS_TOOLS_CAPTURE_FILTER_H
#define VIOFS_TOOLS_CAPTURE_FILTER_H

#include "packet.h"

#include <stdbool.h>
#include <stddef.h>

struct viofs_filter;

/** viofs_filter_parse() - Return: the filter; NULL: @why says what is wrong, and *@at where. */
struct viofs_filter *viofs_filter_parse(const char *text, char why[128], size_t *at);

/** viofs_filter_free() - NULL is fine. */
void viofs_filter_free(struct viofs_filter *f);

/** viofs_filter_matches() - NULL: everything does. */
bool viofs_filter_matches(const struct viofs_filter *f, const struct viofs_packet *p,
			  unsigned int lane);

/** viofs_filter_needs_reply() - does it ask for what only a reply can tell? */
bool viofs_filter_needs_reply(const struct viofs_filter *f);

/** viofs_packet_kind_name() - "request"; NULL: there is no such kind. */
const char *viofs_packet_kind_name(unsigned int kind);

#endif
