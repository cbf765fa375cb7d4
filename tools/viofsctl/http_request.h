/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The head of an HTTP request for metrics (RFC 9112), as far as an answer depends on it. */
#ifndef VIOFS_TOOLS_HTTP_REQUEST_H
#define VIOFS_TOOLS_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/** struct viofs_http_request - what is wanted of /metrics */
struct viofs_http_request {
	bool head; /* only the head of the answer */
	bool open; /* as OpenMetrics 1.0 */
};

/** viofs_http_end() - Return: bytes up to the empty line and with it; 0: there is none yet. */
size_t viofs_http_end(const char *text, size_t len);

/**
 * viofs_http_parse() - a head of @len bytes, as viofs_http_end() has found it; it is cut up
 * @r: out, untouched on failure.
 * Return: 0, or the status to refuse it with: 400, 404 (another target) or 405 (another method).
 */
int viofs_http_parse(char *text, size_t len, struct viofs_http_request *r);

#endif
