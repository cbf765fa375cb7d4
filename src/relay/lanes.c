/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Setting up lanes: how many, what each has of the session's queues and memory, what it opens. */
#include "relay/lanes.h"
#include "base/bell.h"
#include "base/log.h"
#include "base/page.h"
#include "base/trace.h"
#include "base/util.h"
#include "kernel/devfuse.h"
#include "relay/lane.h"
#include "relay/lead.h"
#include "relay/session.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a lane needs at least: with less it can't read the next request while one is under way. */
#define SLOTS_MIN 4U
#define BUFFERS_MIN 2U
/* Descriptors of a SETLKW where there are no indirect ones: header, arguments, which may cross a
 * page, and the reply's header. */
#define LOCK_PIECES 4U

/* Queues that share an eventfd are served by one lane, since one wake-up is for both. */
static bool is_with_previous(const struct viofs_fs *fs, unsigned int q)
{
	return q > VIOFS_FS_REQUEST && fs->vectors &&
	       fs->queues[q].interrupt_fd == fs->queues[q - 1].interrupt_fd;
}

/* The number of lanes if each is to have a request queue of its own. */
static unsigned int count_queues(const struct viofs_fs *fs)
{
	unsigned int n = 0;

	for (unsigned int q = VIOFS_FS_REQUEST; q < fs->queue_count; q++)
		n += !is_with_previous(fs, q);
	return n;
}

static unsigned int entries_of(const struct viofs_relay_config *c)
{
	return c->queues * c->depth;
}

/* How many lanes are useful. @what: out, NULL or the limit that decided. */
static unsigned int count_lanes(const struct viofs_relay_config *c, const struct viofs_fs *fs,
				const char **what)
{
	const struct {
		unsigned int most;
		const char *what;
	} bounds[] = {
		{ count_queues(fs),
		  "as many as the device has request queues with an interrupt of their own" },
		{ c->depth ? c->queues : c->lanes,
		  "as many as the kernel has queues, which are CPUs" },
		{ (c->slots - entries_of(c)) / SLOTS_MIN,
		  "as many as there is memory for requests" },
		{ (c->buffers - entries_of(c)) / BUFFERS_MIN,
		  "as many as there is memory for data" },
	};
	unsigned int n = VIOFS_MAX(c->lanes, 1U);

	*what = NULL;
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(bounds); i++) {
		if (bounds[i].most >= n)
			continue;
		n = VIOFS_MAX(bounds[i].most, 1U);
		*what = bounds[i].what;
	}
	return n;
}

/* Request queue k is lane k's, and so on in turn. */
static void share_queues(struct viofs_relay *r)
{
	unsigned int k = 0;

	for (unsigned int q = VIOFS_FS_REQUEST; q < r->fs->queue_count; q++) {
		struct viofs_lane *lane;

		k += q > VIOFS_FS_REQUEST && !is_with_previous(r->fs, q);
		lane = &r->lanes[k % r->lane_count];
		lane->queues[lane->queue_count++] = q;
		lane->state->queues |= 1U << q;
	}
}

/* Each lane gets what its entries need, and an equal part of the rest. */
static void share_memory(struct viofs_relay *r)
{
	const struct viofs_relay_config *c = &r->config;
	unsigned int slots = c->slots - entries_of(c), buffers = c->buffers - entries_of(c);
	uint16_t first_slot = 0, first_buffer = 0;

	for (unsigned int i = 0; i < r->lane_count; i++) {
		struct viofs_lane *lane = &r->lanes[i];
		unsigned int left = r->lane_count - i;
		uint16_t count, buffer_count;

		viofs_entries_init(&lane->entries, c->queues, c->depth, i, r->lane_count, r->arena);
		count = (uint16_t)(slots / left + lane->entries.count);
		buffer_count = (uint16_t)(buffers / left + lane->entries.count);
		viofs_slots_share(&r->slots, first_slot, count, first_buffer, buffer_count,
				  lane->state->landing_buffer, &lane->slots);
		lane->state->first_slot = first_slot;
		lane->state->slot_count = count;
		lane->state->first_buffer = first_buffer;
		lane->state->buffer_count = buffer_count;
		lane->state->entries = lane->entries.count;
		slots -= slots / left;
		buffers -= buffers / left;
		first_slot = (uint16_t)(first_slot + count);
		first_buffer = (uint16_t)(first_buffer + buffer_count);
	}
}

/* The lane's own part of each kind. */
static int init_parking(const struct viofs_relay *r, struct viofs_parking *p,
			const struct viofs_layout_parking *l, unsigned int lane)
{
	size_t first = (size_t)lane * l->max.block_count;
	uint8_t *data = l->data + first * l->max.block_size;

	if (r->is_adopted)
		return viofs_parking_adopt(p, &l->max, l->blocks + first, data);
	viofs_parking_init(p, &l->max, l->blocks + first, data);
	return 0;
}

static int init_lane(struct viofs_relay *r, unsigned int index)
{
	const struct viofs_layout *l = &r->layout;
	struct viofs_lane *lane = &r->lanes[index];
	int rc;

	lane->relay = r;
	lane->spin = r->config.spin_us * VIOFS_NSEC_PER_USEC;
	lane->index = index;
	lane->hiprio = index ? NULL : &r->hiprio;
	lane->stats = &l->lane_stats[index];
	lane->latency = &l->latency[index];
	lane->capture = &viofs_capture_off;
	lane->state = &l->lanes[index];
	if (!r->is_adopted) {
		lane->state->landing = VIOFS_SLOT_NONE;
		lane->state->landing_buffer = VIOFS_BUFFER_NONE;
	}
	lane->fuse_fd = lane->lease.wake_fd = lane->cpu = -1;
	lane->left = r->is_adopted ? 0 : UINT_MAX;
	lane->plain_size = l->plain_size;
	lane->plain = l->plain + index * viofs_align_up(l->plain_size, VIOFS_PAGE_LEAST);
	viofs_mailbox_init(&lane->mailbox);
	rc = init_parking(r, &lane->parked, &l->parked, index);
	if (!rc)
		rc = init_parking(r, &lane->locks, &l->locks, index);
	if (!rc)
		rc = init_parking(r, &lane->mailbox.letters, &l->letters, index);
	lane->mailbox.full = lane->mailbox.letters.count;
	return rc;
}

/* Locks that wait may have half of the slots and of each ring at most: the rest is for requests
 * that can end their wait. */
static void bound_lockers(struct viofs_lane *lane)
{
	const struct viofs_relay *r = lane->relay;
	uint32_t each = r->indirect ? 1 : LOCK_PIECES, most = lane->slots.count / 2U;

	for (unsigned int i = 0; i < lane->queue_count; i++)
		most = VIOFS_MIN(most, r->fs->queue_size[lane->queues[i]] / each / 2);
	lane->lockers_max = VIOFS_MAX(most, 1U);
}

static int make_lanes(struct viofs_relay *r, unsigned int n)
{
	int rc = 0;

	r->lanes = aligned_alloc(_Alignof(struct viofs_lane), n * sizeof(*r->lanes));
	if (!r->lanes)
		return -ENOMEM;
	memset(r->lanes, 0, n * sizeof(*r->lanes));
	r->lane_count = n;
	for (unsigned int i = 0; i < n; i++)
		r->lanes[i].fuse_fd = r->lanes[i].lease.wake_fd = -1;
	for (unsigned int i = 0; i < n && !rc; i++)
		rc = init_lane(r, i);
	if (rc)
		return rc;
	share_queues(r);
	share_memory(r);
	for (unsigned int i = 0; i < n; i++)
		bound_lockers(&r->lanes[i]);
	return 0;
}

int viofs_lanes_new(struct viofs_relay *r)
{
	const char *what;
	unsigned int n = count_lanes(&r->config, r->fs, &what);

	if (what)
		viofs_info("%u lanes are asked for, %u in use: %s", r->config.lanes, n, what);
	return make_lanes(r, n);
}

int viofs_lanes_adopt(struct viofs_relay *r, const int *fuse_fds)
{
	unsigned int n = r->layout.session->lanes;
	const char *what;
	int rc = n <= count_lanes(&r->config, r->fs, &what) ? make_lanes(r, n) : -EPROTO;

	for (unsigned int i = 0; i < r->lane_count && !rc; i++)
		r->lanes[i].fuse_fd = fuse_fds[i];
	return rc;
}

bool viofs_lanes_free(struct viofs_relay *r)
{
	bool all = true;

	for (unsigned int i = 0; i < r->lane_count; i++)
		all &= !r->lanes[i].started && viofs_lease_fini(&r->lanes[i].lease);
	for (unsigned int i = 0; all && i < r->lane_count; i++)
		viofs_loop_close(&r->lanes[i].loop);
	if (!all)
		return false;
	viofs_lanes_hang_up(r);
	free(r->lanes);
	return true;
}

/* A standby that takes over runs this. */
static void take_over(void *arg)
{
	struct viofs_lane *lane = arg;

	lane->stats->handovers++;
	VIOFS_PROBE2(handover, lane->index, lane->stats->handovers);
	viofs_loop_adopt(&lane->loop);
	viofs_lead(lane);
}

/* The ring of some lane could not be made: go on without entries. */
static void leave_entries(struct viofs_relay *r, int rc)
{
	viofs_warn("no io_uring for FUSE's channel (%s): /dev/fuse is used", strerror(-rc));
	for (unsigned int i = 0; i < r->lane_count; i++) {
		viofs_loop_close(&r->lanes[i].loop);
		r->lanes[i].entries.count = 0;
	}
}

static int open_rings(struct viofs_relay *r)
{
	int rc = 0;

	for (unsigned int i = 0; i < r->lane_count && !rc; i++)
		rc = viofs_loop_open_restricted(&r->lanes[i].loop, r->config.loop,
						r->lanes[i].entries.count,
						r->lane_count == 1 || r->lanes[i].entries.count);
	return rc;
}

/* Descriptors that end the lane's sleep. */
static void add_descriptors(struct viofs_lane *lane)
{
	struct viofs_relay *r = lane->relay;
	int before = -1;

	/* Where several lanes poll /dev/fuse, a request wakes one of them, not all: unless there
	 * may be a thread of a dead worker's that is woken instead, and doesn't read. */
	viofs_loop_add(&lane->loop, lane->fuse_fd,
		       r->lane_count > 1 && !lane->loop.alone && !r->is_adopted ? VIOFS_LOOP_SHARED
										: VIOFS_LOOP_INPUT);
	viofs_loop_add(&lane->loop, lane->lease.wake_fd, VIOFS_LOOP_COUNTER);
	if (viofs_lane_is_first(lane) && r->fs->virtio->event_fd >= 0)
		viofs_loop_add(&lane->loop, r->fs->virtio->event_fd, VIOFS_LOOP_INPUT);
	if (lane->hiprio && r->fs->queues[VIOFS_FS_HIPRIO].interrupt_fd >= 0) {
		before = r->fs->queues[VIOFS_FS_HIPRIO].interrupt_fd;
		viofs_loop_add(&lane->loop, before, VIOFS_LOOP_COUNTER);
	}
	for (unsigned int i = 0; i < lane->queue_count; i++) {
		int fd = r->fs->queues[lane->queues[i]].interrupt_fd;

		if (fd >= 0 && fd != before)
			viofs_loop_add(&lane->loop, fd, VIOFS_LOOP_COUNTER);
		before = fd;
	}
}

/* The lane's CPU, of those that this process may run on. */
static int choose_cpu(const cpu_set_t *cpus, unsigned int index)
{
	unsigned int skip = index % (unsigned int)CPU_COUNT(cpus);

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, cpus) && !skip--)
			return cpu;
	return -1;
}

int viofs_lanes_open(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	for (unsigned int i = 0; i < r->lane_count; i++) {
		int fd = i ? viofs_devfuse_clone(fuse_fd) : fuse_fd;

		if (fd < 0) {
			viofs_err_set(err, fd, "/dev/fuse can't be opened once more: %s.",
				      strerror(-fd));
			return viofs_err_remedy(err, fd, VIOFS_REMEDY_ONE_LANE);
		}
		r->lanes[i].fuse_fd = fd;
	}
	return 0;
}

void viofs_lanes_hang_up(struct viofs_relay *r)
{
	for (unsigned int i = 1; i < r->lane_count; i++) {
		if (r->lanes[i].fuse_fd >= 0)
			close(r->lanes[i].fuse_fd);
		r->lanes[i].fuse_fd = -1;
	}
}

static int prepare_lane(struct viofs_lane *lane, struct viofs_err *err)
{
	struct viofs_relay *r = lane->relay;
	cpu_set_t cpus;
	int rc;

	rc = viofs_lease_init(&lane->lease, take_over, lane, lane->slots.count);
	if (rc)
		return viofs_err_set(err, rc, "eventfd: %s", strerror(-rc));
	if (r->config.pin_lanes && r->lane_count > 1 && !sched_getaffinity(0, sizeof(cpus), &cpus))
		lane->cpu = choose_cpu(&cpus, lane->index);
	add_descriptors(lane);
	return 0;
}

static int explain(const struct viofs_relay *r, int rc, struct viofs_err *err)
{
	if (r->config.loop != VIOFS_LOOP_EPOLL)
		return viofs_loop_explain(rc, err);
	return viofs_err_set(err, rc, "epoll, or AIO for a vhost-user back end: %s", strerror(-rc));
}

int viofs_lanes_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err)
{
	int rc = open_rings(r);

	if (rc && entries_of(&r->config)) {
		leave_entries(r, rc);
		rc = open_rings(r);
	}
	if (!rc)
		/* The sandbox allows only the system calls of the loop, so the bells have to be of
		 * its kind. */
		rc = viofs_doorbells_init(&r->doorbells, r->fs,
					  r->config.loop == VIOFS_LOOP_EPOLL ? VIOFS_BELL_AIO
									     : VIOFS_BELL_URING);
	if (rc)
		return explain(r, rc, err);
	if (r->lanes[0].fuse_fd < 0)
		rc = viofs_lanes_open(r, fuse_fd, err);
	for (unsigned int i = 0; i < r->lane_count && !rc; i++)
		rc = prepare_lane(&r->lanes[i], err);
	return rc;
}

void viofs_lanes_move(struct viofs_relay *to, struct viofs_relay *from)
{
	for (unsigned int i = 0; i < to->lane_count; i++) {
		struct viofs_lane *lane = &to->lanes[i], *old = &from->lanes[i];

		lane->loop = old->loop;
		old->loop = (struct viofs_loop){ .ops = NULL };
		lane->cpu = old->cpu;
		viofs_lease_move(&lane->lease, &old->lease, lane);
	}
	viofs_doorbells_move(&to->doorbells, &from->doorbells);
}
