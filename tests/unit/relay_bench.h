/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay on a bench: a socket where /dev/fuse is, a model device behind it, and no kernel. */
#ifndef TESTS_UNIT_RELAY_BENCH_H
#define TESTS_UNIT_RELAY_BENCH_H

#include "model_device.h"
#include "relay/relay.h"
#include "relay/stats.h"

#define BENCH_LANES_MAX 8U

/* What the kernel was answered. */
struct answer {
	unsigned int lane; /* through whose /dev/fuse */
	struct fuse_out_header head;
	uint8_t payload[(132 << 10)];
	size_t len; /* of the payload */
};

/* Where a thread of the relay can die: between these steps of a request. */
enum bench_point {
	BENCH_NOWHERE,
	BENCH_READ,      /* read, and nowhere else */
	BENCH_PARK,      /* before it is parked */
	BENCH_PARKED,    /* it is, and lies where it landed too */
	BENCH_UNPARKED,  /* in a slot, and parked still */
	BENCH_SUBMIT,    /* a slot has it, before it is on the ring */
	BENCH_SUBMITTED, /* on the ring, the device not notified */
	BENCH_POP,       /* answered by the device, on the ring still */
	BENCH_POPPED,    /* off the ring, the kernel has no answer */
	BENCH_REPLIED,   /* the kernel has it, the slot is not free */
	BENCH_FREED,     /* and now it is */
	BENCH_POINTS,
};

struct relay_bench {
	/* To be changed before bench_start(). */
	struct viofs_relay_config config;
	uint64_t features;
	uint16_t queue_size;
	unsigned int request_queues;
	uint64_t kernel_flags; /* offered in INIT */
	unsigned int vectors;  /* that the function has, 0: one for each virtqueue */
	bool no_vectors;       /* the device takes none of them */
	int clone_error;       /* what opening /dev/fuse once more returns, 0: a socket */

	struct model_function function;
	struct model_device device;
	struct viofs_fs *fs;
	struct viofs_arena *arena, *first_arena; /* first: a dead relay's */
	_Atomic unsigned int dead;               /* threads */
	_Atomic unsigned int turned;             /* lanes that have had a turn */
	struct viofs_relay *relay, *successor;
	int kernel, relay_fd;         /* the two ends of the socket, -1 = none; of lane 0's */
	int kernels[BENCH_LANES_MAX]; /* our ends of all of them: each lane has a socket of its own
				       */
	_Atomic unsigned int lanes;
	atomic_bool
		rewrites; /* the device writes to headers of requests as soon as they are there */
	unsigned int to;  /* the lane that kernel_sends() sends to */
	pthread_t thread;
	bool running;
	atomic_bool ready; /* the relay has said so */
	int rc;            /* of viofs_relay_run() */
	atomic_bool lost;  /* it has ended, and viofs_relay_refuse() serves */
	int refused;       /* what that returned */
	struct viofs_err err;

	/* A thread ends at this point, when it has passed there so often. */
	_Atomic enum bench_point dies_at;
	_Atomic int passes;
	bool crashed;      /* the relay that another one succeeds, by itself */
	bool answers_once; /* the kernel takes no second answer to a request, as /dev/fuse does */
	atomic_bool dies;  /* each thread of the relay ends at its next turn, as by SIGKILL */
	atomic_bool no_memory; /* nothing can be parked or passed on */
	/* A reply to this unique blocks until it is 0 again, as on a page lock. */
	_Atomic uint64_t block_unique;
	atomic_bool blocked;
	/* The kernel doesn't take the reply to this unique (EINVAL), and has ended the request. */
	_Atomic uint64_t refuse_unique;
};

extern struct relay_bench bench;

int bench_set_up(void **state);
int bench_tear_down(void **state);

/* The device and the relay run; the kernel has said nothing yet. */
void bench_start(void);
/* The same, for a session where INIT has been answered. */
void bench_serve(void);
/* The same, and each lane has had a turn. */
void bench_serve_by_all(void);
/* The relay's threads are gone, in the middle of what they do. */
void bench_kill(void);
/* A thread ends at @point, when it has passed there @passes times. */
void bench_die_at(enum bench_point point, int passes);
/* Another relay goes on, from the state alone, at other addresses. Return: as viofs_adopt(). */
int bench_try_adopt(void);
void bench_adopt(void);
/* The same in the process that has made the relay, which knows more than what the state says. */
void bench_adopt_forked(void);

/* Waits for the relay to end by itself. Return: what viofs_relay_run() returned. */
int bench_join(void);
/* The kernel unmounts: the relay must end well, and everybody must have been answered. */
void bench_end(void);

/* What the relay has counted so far. */
const struct viofs_relay_stats *bench_stats(void);
/* How many requests of @opcode have been timed, in the device and in all; *ticks: sums of both. */
void bench_times(uint32_t opcode, uint64_t count[2], uint64_t ticks[2]);
/* viofs_observe_slots_used(), viofs_observe_oldest_ns(). */
unsigned int bench_slots_used(void);
int64_t bench_oldest_ns(void);

/* The device calls this for each request, and holds those of bench_hold()'s opcode. */
void bench_hold(uint32_t opcode); /* 0 = all but INIT */
void bench_set_hook(model_hook *hook);

void kernel_sends(uint32_t opcode, uint64_t unique, uint64_t nodeid, const void *args,
		  size_t args_len, const void *data, size_t data_len);
void kernel_sends_init(uint64_t unique);
void kernel_sends_read(uint64_t unique, uint64_t nodeid, uint64_t offset, uint32_t size);
void kernel_sends_write(uint64_t unique, uint64_t nodeid, uint64_t offset, uint32_t size);
/* GETATTR, of a struct of zeros. */
void kernel_sends_getattr(uint64_t unique, uint64_t nodeid);
void kernel_sends_forget(uint64_t unique, uint64_t nodeid);
void kernel_sends_lock(uint64_t unique);
void kernel_sends_interrupt(uint64_t of);

/* The next answer, within 5 s. */
const struct answer *kernel_gets(void);
/* ... which must be this one. */
const struct answer *kernel_is_answered(uint64_t unique, int error, size_t len);
/* Answers to uniques first, first + 2, ... (@count), in any order, each with this error and length.
 */
void kernel_is_answered_all(uint64_t first, unsigned int count, int error, size_t len);
/* No answer within @ms. */
void kernel_gets_nothing(int ms);

/* Waits until the device was told of @count FORGETs: nodeids from @first on, each once, with one
 * lookup. */
void device_forgets(uint64_t first, unsigned int count);
/* How many it was told of. */
unsigned int device_forgotten(void);

#endif
