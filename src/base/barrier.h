/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Barriers between this CPU and a device that reads and writes our memory (virtio 1.3 2.7.13). */
#ifndef VIOFS_BASE_BARRIER_H
#define VIOFS_BASE_BARRIER_H

/*
 * With ORDER_PLATFORM the device may be real hardware, so these are the platform's DMA barriers. On
 * x86 the SMP barriers already order accesses to coherent memory; elsewhere the outer-shareable
 * variants are needed.
 */
#if defined(__x86_64__) || defined(__i386__)
#define viofs_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define viofs_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define viofs_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define viofs_cpu_relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define viofs_wmb() __asm__ volatile("dmb oshst" ::: "memory")
#define viofs_rmb() __asm__ volatile("dmb oshld" ::: "memory")
#define viofs_mb() __asm__ volatile("dmb osh" ::: "memory")
#define viofs_cpu_relax() __asm__ volatile("yield" ::: "memory")
#else
#define viofs_wmb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define viofs_rmb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define viofs_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define viofs_cpu_relax() ((void)0)
#endif

/**
 * viofs_order() - what was stored before is stored before what comes
 * For a successor: this process may be killed between any two instructions, and what they have
 * stored by then stays. Nobody else looks meanwhile, so it is the compiler's order only.
 */
#define viofs_order() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#if defined(__SANITIZE_THREAD__)
#define VIOFS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VIOFS_TSAN 1
#endif
#endif

/** VIOFS_READ_ONCE() - load a value that somebody else may change, exactly once. */
/** VIOFS_WRITE_ONCE() - store a value that somebody else looks at, exactly once. */
#ifdef VIOFS_TSAN
/*
 * ThreadSanitizer doesn't see barriers. Where a test's thread is the device, the access that a
 * barrier is for carries the order itself: so memory that both sides touch at a time is found, and
 * nothing else is said.
 */
#define VIOFS_READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define VIOFS_WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)
#else
#define VIOFS_READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define VIOFS_WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#endif

#endif
