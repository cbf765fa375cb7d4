/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Trace points for bpftrace, perf and SystemTap (USDT), provider virtiofs_vfio.
 *
 * One that nobody uses is a nop. docs/tracing.md has their arguments. They take what is at hand:
 * nothing is to be computed for them.
 */
#ifndef VIOFS_BASE_TRACE_H
#define VIOFS_BASE_TRACE_H

#include "viofs_config.h"

#if VIOFS_HAVE_SDT
#include <sys/sdt.h>
#define VIOFS_PROBE2(name, a, b) DTRACE_PROBE2(virtiofs_vfio, name, a, b)
#define VIOFS_PROBE1(name, a) DTRACE_PROBE1(virtiofs_vfio, name, a)
#define VIOFS_PROBE3(name, a, b, c) DTRACE_PROBE3(virtiofs_vfio, name, a, b, c)
#define VIOFS_PROBE4(name, a, b, c, d) DTRACE_PROBE4(virtiofs_vfio, name, a, b, c, d)
#else
#define VIOFS_PROBE1(name, a) ((void)(a))
#define VIOFS_PROBE2(name, a, b) ((void)(a), (void)(b))
#define VIOFS_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define VIOFS_PROBE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

#endif
