/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Barriers between this CPU and a device that reads and writes our memory (virtio 1.3 2.7.13). */
#ifndef VIOFS_BASE_BARRIER_H
#define VIOFS_BASE_BARRIER_H

/*
 *   viofs_wmb()      stores before it, stores after it
 *   viofs_rmb()      loads before it, loads and stores after it
 *   viofs_release()  loads and stores before it, stores after it
 *   viofs_mb()       all before it, all after it: the only one that keeps a load behind a store
 *
 * The device may be hardware, which is no CPU: so these are the platform's barriers for DMA. x86
 * has nothing to add to what it does for other CPUs. On arm64 a device may be outside of the inner
 * shareable domain, which C's fences (dmb ish) are for; "osh" reaches it. There "oshst" leaves
 * loads alone, so viofs_release() is the full one. virtio/rings.pml shows that each is needed.
 */
#if defined(__x86_64__) || defined(__i386__)
#define viofs_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define viofs_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define viofs_release() __atomic_thread_fence(__ATOMIC_RELEASE)
#define viofs_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define viofs_cpu_relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define viofs_wmb() __asm__ volatile("dmb oshst" ::: "memory")
#define viofs_rmb() __asm__ volatile("dmb oshld" ::: "memory")
#define viofs_release() __asm__ volatile("dmb osh" ::: "memory")
#define viofs_mb() __asm__ volatile("dmb osh" ::: "memory")
#define viofs_cpu_relax() __asm__ volatile("yield" ::: "memory")
#else
#define viofs_wmb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define viofs_rmb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define viofs_release() __atomic_thread_fence(__ATOMIC_SEQ_CST)
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
