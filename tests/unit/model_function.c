/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtio-fs PCI function in memory: registers with a device's state machine behind them. */
/*
 * Register accesses come through struct viofs_vfio_ops as a driver makes them. What the standard
 * forbids a driver (a wrong width, a queue changed after it was enabled, a kick before
 * DRIVER_OK...) is noted in `violation`, which every test looks at in the end; what a device may do
 * wrong is in `faults`.
 *
 * A device that runs on writes to all that it has, at the last moment before VFIO is closed: memory
 * that has gone before is a SIGSEGV.
 */
#include "model_function.h"

#include "base/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define S_ACKNOWLEDGE 1U
#define S_DRIVER 2U
#define S_DRIVER_OK 4U
#define S_FEATURES_OK 8U
#define S_NEEDS_RESET 64U

#define COMMON_LENGTH 0x3cU
#define ALL_ONES(width) ((uint32_t)((1ULL << (8 * (width))) - 1))

/* Offsets in the common structure, with the width of each (virtio 1.3 4.1.4.3). */
enum reg {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	STATUS = 0x14,
	GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
};

static const uint8_t reg_width[COMMON_LENGTH] = {
	[DEVICE_FEATURE_SELECT] = 4,
	[DEVICE_FEATURE] = 4,
	[DRIVER_FEATURE_SELECT] = 4,
	[DRIVER_FEATURE] = 4,
	[CONFIG_VECTOR] = 2,
	[NUM_QUEUES] = 2,
	[STATUS] = 1,
	[GENERATION] = 1,
	[QUEUE_SELECT] = 2,
	[QUEUE_SIZE] = 2,
	[QUEUE_VECTOR] = 2,
	[QUEUE_ENABLE] = 2,
	[QUEUE_NOTIFY_OFF] = 2,
	[QUEUE_DESC] = 4,
	[QUEUE_DESC + 4] = 4,
	[QUEUE_DRIVER] = 4,
	[QUEUE_DRIVER + 4] = 4,
	[QUEUE_DEVICE] = 4,
	[QUEUE_DEVICE + 4] = 4,
};

static struct model_function *model_of(struct viofs_vfio *v)
{
	return VIOFS_CONTAINER_OF(v, struct model_function, vfio);
}

static void violate(struct model_function *m, const char *what)
{
	if (!m->violation)
		m->violation = what;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

/* Once it is reset, a device doesn't touch its rings any more. */
static void finish_reset(struct model_function *m)
{
	if (m->busy)
		pthread_mutex_lock(m->busy);
	m->resetting = false;
	m->status = 0;
	m->driver_features = 0;
	m->config_vector = MODEL_NO_VECTOR;
	for (unsigned int i = 0; i < MODEL_QUEUES; i++) {
		struct model_queue *q = &m->queues[i];

		q->size = q->max;
		q->vector = MODEL_NO_VECTOR;
		q->enabled = m->faults.enabled_at_reset;
		q->desc = q->driver = q->device = 0;
		q->seen = q->used_idx = 0;
		q->seen_wrap = q->used_wrap = true;
	}
	if (m->busy)
		pthread_mutex_unlock(m->busy);
}

static void begin_reset(struct model_function *m)
{
	m->resets++;
	m->resetting = true;
	m->polls_left = m->faults.reset_polls;
	if (!m->polls_left)
		finish_reset(m);
}

static uint32_t status_read(struct model_function *m)
{
	if (m->resetting && m->polls_left > 0 && --m->polls_left == 0)
		finish_reset(m);
	return m->status;
}

static bool features_fine(const struct model_function *m)
{
	uint64_t platform = m->features & (1ULL << 33);

	return !m->faults.refuse_features && !(m->driver_features & ~m->features) &&
	       (m->driver_features & platform) == platform;
}

static void status_write(struct model_function *m, uint8_t value)
{
	uint8_t added = value & (uint8_t)~m->status;

	if (!value) {
		begin_reset(m);
		return;
	}
	if (m->resetting)
		violate(m, "status was written before the reset had finished");
	if (m->status & ~value)
		violate(m, "a status bit was cleared without a reset");
	if ((added & S_DRIVER) && !(value & S_ACKNOWLEDGE))
		violate(m, "DRIVER before ACKNOWLEDGE");
	if ((added & S_FEATURES_OK) && !(value & S_DRIVER))
		violate(m, "FEATURES_OK before DRIVER");
	if ((added & S_DRIVER_OK) && !(m->status & S_FEATURES_OK))
		violate(m, "DRIVER_OK before FEATURES_OK");

	if ((added & S_FEATURES_OK) && m->faults.gone_at_features)
		m->faults.gone = true;
	if ((added & S_FEATURES_OK) && !features_fine(m))
		value &= (uint8_t)~S_FEATURES_OK;
	if ((added & S_DRIVER_OK) && !(m->config[MODEL_COMMAND] & MODEL_COMMAND_MASTER))
		violate(m, "DRIVER_OK before bus mastering");
	if (added & S_DRIVER_OK) {
		if (m->faults.needs_reset)
			value |= S_NEEDS_RESET;
		if (m->faults.ignore_driver_ok)
			value &= (uint8_t)~S_DRIVER_OK;
		if (m->faults.gone_at_start)
			m->faults.gone = true;
	}
	m->status = value;
}

static struct model_queue *selected(struct model_function *m)
{
	return m->queue_select < m->num_queues && m->queue_select < MODEL_QUEUES
		       ? &m->queues[m->queue_select]
		       : NULL;
}

static uint32_t generation_read(struct model_function *m)
{
	if (m->faults.generation_moves) {
		m->generation++;
		if (m->faults.generation_moves > 0)
			m->faults.generation_moves--;
	}
	return m->generation;
}

static uint32_t queue_read(struct model_function *m, unsigned int reg)
{
	const struct model_queue *q = selected(m);

	if (!q)
		return reg == QUEUE_VECTOR ? MODEL_NO_VECTOR : 0;
	switch (reg) {
	case QUEUE_SIZE:
		return q->size;
	case QUEUE_VECTOR:
		return q->vector;
	case QUEUE_ENABLE:
		return q->enabled;
	case QUEUE_NOTIFY_OFF:
		return q->notify_off;
	default:
		return 0; /* addresses: as cloud-hypervisor and crosvm do */
	}
}

static uint32_t common_read(struct model_function *m, unsigned int reg)
{
	switch (reg) {
	case DEVICE_FEATURE_SELECT:
		return m->device_feature_select;
	case DEVICE_FEATURE:
		if (!(m->status & S_DRIVER))
			violate(m, "features were read before DRIVER");
		return m->device_feature_select > 1
			       ? 0
			       : (uint32_t)(m->features >> (32 * m->device_feature_select));
	case CONFIG_VECTOR:
		return m->config_vector;
	case NUM_QUEUES:
		return m->num_queues;
	case STATUS:
		return status_read(m);
	case GENERATION:
		return generation_read(m);
	default:
		return queue_read(m, reg);
	}
}

static bool vector_taken(const struct model_function *m, const struct model_queue *q,
			 uint32_t vector)
{
	for (unsigned int i = 0; i < MODEL_QUEUES; i++)
		if (&m->queues[i] != q && m->queues[i].vector == vector)
			return true;
	return false;
}

static void vector_write(struct model_function *m, struct model_queue *q, uint32_t value)
{
	bool refused = m->faults.refuse_all_vectors || value >= m->vectors_on ||
		       (m->faults.vector_limit && value >= m->faults.vector_limit) ||
		       (m->faults.refuse_sharing && vector_taken(m, q, value));

	q->vector = (uint16_t)(refused ? MODEL_NO_VECTOR : value);
}

static void half_write(uint64_t *field, bool high, uint32_t value)
{
	*field = high ? (*field & 0xffffffff) | (uint64_t)value << 32
		      : (*field & ~0xffffffffULL) | value;
}

static void queue_write(struct model_function *m, unsigned int reg, uint32_t value)
{
	struct model_queue *q = selected(m);

	if (!q) {
		violate(m, "a register of a queue that does not exist was written");
		return;
	}
	if (!(m->status & S_FEATURES_OK) && value != MODEL_NO_VECTOR)
		violate(m, "a queue was set up before FEATURES_OK");
	if (q->enabled)
		violate(m, "a queue was changed after it was enabled");
	switch (reg) {
	case QUEUE_SIZE:
		if (!m->faults.ignore_size)
			q->size = (uint16_t)value;
		break;
	case QUEUE_VECTOR:
		vector_write(m, q, value);
		break;
	case QUEUE_ENABLE:
		if (value != 1 || !q->desc || !q->driver || !q->device)
			violate(m, "a queue was enabled without addresses, or disabled");
		q->enabled = true;
		break;
	case QUEUE_DESC:
	case QUEUE_DESC + 4:
		half_write(&q->desc, reg != QUEUE_DESC, value);
		break;
	case QUEUE_DRIVER:
	case QUEUE_DRIVER + 4:
		half_write(&q->driver, reg != QUEUE_DRIVER, value);
		break;
	case QUEUE_DEVICE:
	case QUEUE_DEVICE + 4:
		half_write(&q->device, reg != QUEUE_DEVICE, value);
		break;
	default:
		violate(m, "a read-only register was written");
	}
}

static void common_write(struct model_function *m, unsigned int reg, uint32_t value)
{
	switch (reg) {
	case DEVICE_FEATURE_SELECT:
		m->device_feature_select = value;
		break;
	case DRIVER_FEATURE_SELECT:
		m->driver_feature_select = value;
		break;
	case DRIVER_FEATURE:
		if (m->status & S_FEATURES_OK)
			violate(m, "features were written after FEATURES_OK");
		if (m->driver_feature_select < 2)
			half_write(&m->driver_features, m->driver_feature_select == 1, value);
		break;
	case CONFIG_VECTOR:
		m->config_vector = (uint16_t)value;
		break;
	case STATUS:
		status_write(m, (uint8_t)value);
		break;
	case QUEUE_SELECT:
		m->queue_select = value;
		break;
	default:
		queue_write(m, reg, value);
	}
}

/* The tag is bytes, what follows are 32-bit fields (virtio 1.3 4.1.3.1, 5.11.4). */
static uint32_t device_read(struct model_function *m, uint64_t off, unsigned int width)
{
	uint32_t value = 0;

	if (!viofs_range_ok(off, width, m->device_length)) {
		violate(m, "device configuration was read beyond its end");
		return ALL_ONES(width);
	}
	if (width != (off < 36 ? 1 : 4))
		violate(m, "device configuration was read in an unnatural width");
	for (unsigned int i = 0; i < width; i++)
		value |= (uint32_t)m->device_config[off + i] << (8 * i);
	return value;
}

static void notify_write(struct model_function *m, uint64_t off, unsigned int width, uint32_t value)
{
	struct model_queue *q =
		value < m->num_queues && value < MODEL_QUEUES ? &m->queues[value] : NULL;

	if (width != 2 || !q || off != (uint64_t)q->notify_off * MODEL_MULTIPLIER) {
		violate(m, "a notification of the wrong width, place or queue");
		return;
	}
	if (!q->enabled || !(m->status & S_DRIVER_OK))
		violate(m, "a notification before the queue was running");
	__atomic_fetch_add(&q->notified, 1, __ATOMIC_RELEASE);
}

static void check_access(struct model_function *m, unsigned int bar, uint64_t off,
			 unsigned int width)
{
	m->accesses++;
	assert_true(bar < 6 && (width == 1 || width == 2 || width == 4));
	assert_int_equal(off % width, 0);
	assert_true(viofs_range_ok(off, width, m->bar_size[bar]));
}

static bool is_common(struct model_function *m, uint64_t off, unsigned int width)
{
	if (off >= MODEL_COMMON + COMMON_LENGTH)
		return false;
	if (reg_width[off - MODEL_COMMON] != width)
		violate(m, "a common register was accessed in an unnatural width");
	return true;
}

static uint32_t bar_read(struct viofs_vfio *v, unsigned int bar, uint64_t off, unsigned int width)
{
	struct model_function *m = model_of(v);

	check_access(m, bar, off, width);
	if (m->faults.gone)
		return ALL_ONES(width);
	if (is_common(m, off, width))
		return common_read(m, (unsigned int)(off - MODEL_COMMON));
	if (off >= MODEL_DEVICE && off < MODEL_NOTIFY)
		return device_read(m, off - MODEL_DEVICE, width);
	violate(m, "a read from where there is nothing to read");
	return 0;
}

static void bar_write(struct viofs_vfio *v, unsigned int bar, uint64_t off, unsigned int width,
		      uint32_t value)
{
	struct model_function *m = model_of(v);

	check_access(m, bar, off, width);
	if (m->faults.gone)
		return;
	if (is_common(m, off, width))
		common_write(m, (unsigned int)(off - MODEL_COMMON), value);
	else if (off >= MODEL_NOTIFY)
		notify_write(m, off - MODEL_NOTIFY, width, value);
	else
		violate(m, "a write to where there is nothing to write");
}

static const char *model_lost(struct viofs_vfio *v)
{
	return model_of(v)->lost;
}

void model_alert(struct model_function *m, const char *how)
{
	const uint64_t one = 1;

	m->lost = how;
	if (m->vfio.event_fd >= 0)
		assert_int_equal(write(m->vfio.event_fd, &one, sizeof(one)), sizeof(one));
}

bool model_reaches_memory(const struct model_function *m)
{
	return (m->status & S_DRIVER_OK) && !m->faults.gone && !m->closed &&
	       (m->config[MODEL_COMMAND] & MODEL_COMMAND_MASTER);
}

/* The kernel clears bus mastering, and takes back what is mapped. */
static void model_close(struct viofs_vfio *v)
{
	struct model_function *m = model_of(v);

	for (unsigned int i = 0; model_reaches_memory(m) && i < m->map_count; i++)
		if (m->maps[i].access & VIOFS_DMA_WRITE)
			memset(m->maps[i].vaddr, 0xa5, m->maps[i].len);
	m->map_count = 0;
	m->closed = true;
}

static int config_read(struct viofs_vfio *v, unsigned int off, void *buf, unsigned int len)
{
	struct model_function *m = model_of(v);

	if (!viofs_range_ok(off, len, sizeof(m->config)))
		return -EINVAL;
	memcpy(buf, m->config + off, len);
	return 0;
}

static int config_write(struct viofs_vfio *v, unsigned int off, const void *buf, unsigned int len)
{
	struct model_function *m = model_of(v);

	if (!viofs_range_ok(off, len, sizeof(m->config)))
		return -EINVAL;
	memcpy(m->config + off, buf, len);
	if (off == MODEL_COMMAND && m->faults.master_sticks)
		m->config[off] |= MODEL_COMMAND_MASTER;
	return 0;
}

static uint64_t bar_size(struct viofs_vfio *v, unsigned int bar)
{
	return bar < 6 ? model_of(v)->bar_size[bar] : 0;
}

static int msix_set(struct viofs_vfio *v, const int *eventfds, unsigned int count,
		    struct viofs_err *err)
{
	struct model_function *m = model_of(v);

	m->msix_calls++;
	if (count && m->faults.msix_error)
		return viofs_err_set(err, m->faults.msix_error, "no vectors today");
	if (count > v->msix_vectors || count > MODEL_VECTORS_MAX)
		return viofs_err_set(err, -EINVAL, "more vectors than the function has");
	m->vectors_on = count;
	for (unsigned int i = 0; i < count; i++)
		m->eventfds[i] = eventfds[i];
	return 0;
}

static int function_reset(struct viofs_vfio *v)
{
	struct model_function *m = model_of(v);

	if (m->faults.no_function_reset)
		return -EOPNOTSUPP;
	m->function_resets++;
	if (!m->faults.function_reset_lies)
		finish_reset(m);
	return 0;
}

static struct model_function *model_of_mapper(struct viofs_mapper *mapper)
{
	return VIOFS_CONTAINER_OF(mapper, struct model_function, vfio.mapper);
}

static int map(struct viofs_mapper *mapper, const struct viofs_mapper_memory *memory, uint64_t iova,
	       struct viofs_err *err)
{
	struct model_function *m = model_of_mapper(mapper);

	if (m->map_count == MODEL_MAPS)
		return viofs_err_set(err, -ENOSPC, "the model remembers no more mappings");
	m->maps[m->map_count++] =
		(struct model_map){ memory->vaddr, memory->len, iova, memory->access };
	return 0;
}

static int unmap(struct viofs_mapper *mapper, uint64_t iova, size_t len, struct viofs_err *err)
{
	struct model_function *m = model_of_mapper(mapper);

	if (m->resetting && model_reaches_memory(m))
		violate(m, "memory was taken from a device that does not finish its reset");
	if (m->faults.unmap_error)
		return m->faults.unmap_error;
	for (unsigned int i = 0; i < m->map_count; i++)
		if (m->maps[i].iova == iova && m->maps[i].len == len) {
			m->maps[i] = m->maps[--m->map_count];
			return 0;
		}
	return -ENOENT;
}

static const struct viofs_vfio_ops model_ops = {
	.name = "model",
	.close = model_close,
	.lost = model_lost,
	.config_read = config_read,
	.config_write = config_write,
	.bar_size = bar_size,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.msix_set = msix_set,
	.reset = function_reset,
};

static const struct viofs_mapper_ops model_mapper_ops = { .map = map, .unmap = unmap };

/* A vendor capability (virtio 1.3 4.1.4). */
static void put_cap(struct model_function *m, unsigned int at, unsigned int next, unsigned int type,
		    uint32_t offset, uint32_t length)
{
	uint8_t *p = m->config + at;

	p[0] = 0x09;
	p[1] = (uint8_t)next;
	p[2] = at == MODEL_CAP_NOTIFY ? 20 : 16;
	p[3] = (uint8_t)type;
	p[MODEL_CAP_BAR] = MODEL_BAR;
	put32(p + MODEL_CAP_OFFSET, offset);
	put32(p + MODEL_CAP_LENGTH, length);
}

void model_set_config32(struct model_function *m, unsigned int off, uint32_t value)
{
	put32(m->config + off, value);
}

void model_set_tag(struct model_function *m, const char *tag, size_t len)
{
	assert_true(len <= 36);
	memset(m->device_config, 0, 36);
	memcpy(m->device_config, tag, len);
}

void model_set_requests(struct model_function *m, uint32_t n)
{
	put32(m->device_config + 36, n);
}

static void init_config(struct model_function *m)
{
	put16(m->config + 0x00, 0x1af4);
	put16(m->config + 0x02, 0x105a);
	put16(m->config + MODEL_COMMAND, 0x0002);
	put16(m->config + 0x06, 0x0010); /* there is a capability list */
	m->config[0x34] = MODEL_CAP_COMMON;
	put_cap(m, MODEL_CAP_COMMON, MODEL_CAP_ISR, 1, MODEL_COMMON, 0x1000);
	put_cap(m, MODEL_CAP_ISR, MODEL_CAP_DEVICE, 3, MODEL_ISR, 0x1000);
	put_cap(m, MODEL_CAP_DEVICE, MODEL_CAP_NOTIFY, 4, MODEL_DEVICE, 0x1000);
	put_cap(m, MODEL_CAP_NOTIFY, MODEL_CAP_MSIX, 2, MODEL_NOTIFY, 0x1000);
	put32(m->config + MODEL_CAP_NOTIFY + MODEL_CAP_MULTIPLIER, MODEL_MULTIPLIER);
	m->config[MODEL_CAP_MSIX] = 0x11;
	put16(m->config + MODEL_CAP_MSIX + 2, m->vfio.msix_vectors - 1);
	put32(m->config + MODEL_CAP_MSIX + 4, 1); /* table in BAR 1 */
	put32(m->config + MODEL_CAP_MSIX + 8, 0x801);
}

void model_init(struct model_function *m, unsigned int requests)
{
	memset(m, 0, sizeof(*m));
	assert_true(requests + 1 <= MODEL_QUEUES);
	m->vfio.ops = &model_ops;
	strcpy(m->vfio.address, "0000:00:04.0");
	m->vfio.mapper.ops = &model_mapper_ops;
	m->vfio.mapper.align = 2 << 20;
	m->vfio.mapper.translates = true;
	m->vfio.event_fd = -1;
	m->vfio.msix_vectors = requests + 2;
	m->bar_size[1] = 0x1000;
	m->bar_size[MODEL_BAR] = MODEL_BAR_SIZE;
	m->num_queues = (uint16_t)(requests + 1);
	m->features = 1ULL << 32;
	m->device_length = 44;
	model_set_tag(m, "myfs", 4);
	model_set_requests(m, requests);
	for (unsigned int i = 0; i < MODEL_QUEUES; i++) {
		m->queues[i].max = 128;
		m->queues[i].notify_off = (uint16_t)i;
	}
	init_config(m);
	finish_reset(m);
	m->status = S_ACKNOWLEDGE | S_DRIVER; /* as a former driver left it: reset is needed */
}

void model_equip(struct model_function *m, uint64_t features, uint16_t size)
{
	m->features = features;
	m->vfio.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(m->vfio.event_fd >= 0);
	for (unsigned int q = 0; q < m->num_queues; q++)
		m->queues[q].max = size;
}

void *model_memory(struct model_function *m, uint64_t iova, size_t len, unsigned int access)
{
	for (unsigned int i = 0; i < m->map_count; i++) {
		const struct model_map *map = &m->maps[i];

		if (iova >= map->iova && viofs_range_ok(iova - map->iova, len, map->len) &&
		    (map->access & access) == access)
			return map->vaddr + (iova - map->iova);
	}
	fail_msg("the device was given an address that it can't reach: 0x%llx",
		 (unsigned long long)iova);
	return NULL;
}

int model_pop(struct model_function *m, unsigned int q)
{
	struct model_queue *mq = &m->queues[q];
	const uint16_t *avail = model_memory(m, mq->driver, 6 + 2U * mq->size, VIOFS_DMA_READ);

	if (avail[1] == mq->seen)
		return -1;
	return avail[2 + (mq->seen++ & (mq->size - 1))];
}

void model_push(struct model_function *m, unsigned int q, uint32_t id, uint32_t len)
{
	struct model_queue *mq = &m->queues[q];
	const uint16_t *avail = model_memory(m, mq->driver, 6 + 2U * mq->size, VIOFS_DMA_READ);
	uint16_t *used = model_memory(m, mq->device, 6 + 8U * mq->size, VIOFS_DMA_WRITE);
	uint32_t elem[2] = { id, len };

	memcpy(&used[2 + 4 * (mq->used_idx & (mq->size - 1))], elem, sizeof(elem));
	used[1] = ++mq->used_idx;
	if (!(avail[0] & 1) && mq->vector != MODEL_NO_VECTOR) {
		uint64_t one = 1;

		assert_int_equal(write(m->eventfds[mq->vector], &one, sizeof(one)), sizeof(one));
	}
}
