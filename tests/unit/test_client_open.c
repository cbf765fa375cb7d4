/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking a device for a program, step by step: what is refused, and what is undone then. */
#include "base/util.h"
#include "client/client_dev.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What was done, and what is to fail: linked in place of the real steps. */
static struct {
	char steps[256];
	const char *fails;
	int wait_ms;
	const char *driver;
	bool back_end;
	struct viofs_attach_options options;
	enum viofs_remedy remedy;
} world;

static struct viofs_virtio virtio;
static struct viofs_fs fs = { .virtio = &virtio };
static struct viofs_dev_options options;
static struct viofs_dev *dev;
static struct viofs_err err;

static int step(const char *name, struct viofs_err *e)
{
	size_t len = strlen(world.steps);

	snprintf(world.steps + len, sizeof(world.steps) - len, "%s%s", len ? " " : "", name);
	if (!world.fails || strcmp(world.fails, name))
		return 0;
	viofs_err_set(e, -EIO, "%s failed", name);
	return viofs_err_remedy(e, -EIO, world.remedy);
}

int __wrap_viofs_source_find(const char *text, struct viofs_source *out, struct viofs_err *e);
int __wrap_viofs_source_find(const char *text, struct viofs_source *out, struct viofs_err *e)
{
	*out = (struct viofs_source){ .transport = world.back_end
							   ? viofs_transport_of("vhost-user:")
							   : viofs_transport_function(),
				      .id = "an-id" };
	strcpy(out->function.driver, world.driver);
	strcpy(out->function.text, "0000:00:05.0");
	return step("find", e);
}

int __wrap_viofs_hold_take(const struct viofs_pci_function *f, int wait_ms, struct viofs_hold *hold,
			   struct viofs_err *e);
int __wrap_viofs_hold_take(const struct viofs_pci_function *f, int wait_ms, struct viofs_hold *hold,
			   struct viofs_err *e)
{
	world.wait_ms = wait_ms;
	return step("bind", e);
}

int __wrap_viofs_hold_take_name(const char *id, const char *device, int wait_ms,
				struct viofs_hold *hold, struct viofs_err *e);
int __wrap_viofs_hold_take_name(const char *id, const char *device, int wait_ms,
				struct viofs_hold *hold, struct viofs_err *e)
{
	assert_string_equal(id, "an-id");
	world.wait_ms = wait_ms;
	return step("name", e);
}

int __wrap_viofs_hold_release(struct viofs_hold *hold, struct viofs_err *e);
int __wrap_viofs_hold_release(struct viofs_hold *hold, struct viofs_err *e)
{
	return step("release", e);
}

int __wrap_viofs_attach_open(const struct viofs_source *s, const struct viofs_attach_options *o,
			     struct viofs_fs **out, struct viofs_err *e);
int __wrap_viofs_attach_open(const struct viofs_source *s, const struct viofs_attach_options *o,
			     struct viofs_fs **out, struct viofs_err *e)
{
	world.options = *o;
	fs.queue_count = 2;
	fs.queue_size[0] = fs.queue_size[1] = 64;
	*out = &fs;
	return step("open", e);
}

int __wrap_viofs_attach_map(const struct viofs_fs *f, struct viofs_arena *arena,
			    struct viofs_err *e);
int __wrap_viofs_attach_map(const struct viofs_fs *f, struct viofs_arena *arena,
			    struct viofs_err *e)
{
	assert_non_null(arena);
	return step("map", e);
}

int __wrap_viofs_fs_start(struct viofs_fs *f, struct viofs_arena *arena, struct viofs_err *e);
int __wrap_viofs_fs_start(struct viofs_fs *f, struct viofs_arena *arena, struct viofs_err *e)
{
	assert_ptr_equal(f, &fs);
	return step("start", e);
}

int __wrap_viofs_attach_close(struct viofs_fs *f, struct viofs_arena *arena);
int __wrap_viofs_attach_close(struct viofs_fs *f, struct viofs_arena *arena)
{
	return step("close", NULL);
}

static int set_up(void **state)
{
	memset(&world, 0, sizeof(world));
	memset(&err, 0, sizeof(err));
	world.driver = "vfio-pci";
	world.fails = "start";
	viofs_dev_options_init(&options, sizeof(options));
	options.flags = VIOFS_DEV_SMALL_PAGES;
	options.dma_size = 1 << 20;
	dev = NULL;
	return 0;
}

static int open_it(void)
{
	int rc;

	world.steps[0] = err.text[0] = '\0';
	rc = viofs_dev_open("the-source", &options, &dev, &err);
	assert_null(dev);
	return rc;
}

static void a_step_that_fails_is_the_last_one_and_all_is_given_back(void **state)
{
	static const struct {
		const char *fails, *steps, *says;
	} cases[] = {
		{ "find", "find close release", "find failed" },
		{ "bind", "find bind close release", "bind failed" },
		{ "open", "find bind open close release", "the-source: open failed" },
		{ "map", "find bind open map close release", "the-source: map failed" },
		{ "start", "find bind open map start close release", "the-source: start failed" },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		set_up(state);
		world.fails = cases[i].fails;
		assert_int_equal(open_it(), -EIO);
		assert_string_equal(world.steps, cases[i].steps);
		assert_string_equal(err.text, cases[i].says);
	}
}

/* In the library's words, where a field of its own would help. */
static void what_would_help_is_said_by_its_field(void **state)
{
	world.fails = "open";
	world.remedy = VIOFS_REMEDY_ALLOW_NOIOMMU;
	assert_int_equal(open_it(), -EIO);
	assert_int_equal(err.remedy, VIOFS_REMEDY_ALLOW_NOIOMMU);
	assert_int_equal(err.fact, strlen("the-source: open failed"));
	assert_non_null(strstr(err.text, "open failed If you trust it, set VIOFS_DEV_UNSAFE"));
	set_up(state);
	world.fails = "open";
	world.remedy = VIOFS_REMEDY_ONE_LANE;
	assert_int_equal(open_it(), -EIO);
	assert_string_equal(err.text, "the-source: open failed");
}

static void a_socket_is_held_by_its_name(void **state)
{
	world.back_end = true;
	world.driver = "";
	options.queues = 3;
	options.wait_ms = 250;
	assert_int_equal(open_it(), -EIO);
	assert_string_equal(world.steps, "find name open map start close release");
	assert_int_equal(world.wait_ms, 250);
	assert_int_equal(world.options.transport.queues, 3);
	assert_false(world.options.transport.allow_noiommu || world.options.transport.track ||
		     world.options.notification);
	world.fails = "name";
	assert_int_equal(open_it(), -EIO);
	assert_string_equal(err.text, "the-source: name failed");
}

static void a_function_of_another_driver_is_taken_where_it_was_said(void **state)
{
	static const char *const drivers[] = { "virtio-pci", "" };

	for (int i = 0; i < 2; i++) {
		world.driver = drivers[i];
		options.flags = VIOFS_DEV_SMALL_PAGES;
		assert_int_equal(open_it(), -EBUSY);
		assert_string_equal(world.steps, "find close release");
		assert_non_null(strstr(err.text, i ? "no driver" : "virtio-pci"));
		assert_non_null(strstr(err.text, "viofsctl bind 0000:00:05.0"));
		options.flags |= VIOFS_DEV_BIND | VIOFS_DEV_UNSAFE_NOIOMMU;
		assert_int_equal(open_it(), -EIO);
		assert_string_equal(world.steps, "find bind open map start close release");
		assert_true(world.options.transport.allow_noiommu);
	}
}

static void queues_are_no_choice_with_pci(void **state)
{
	options.queues = 1;
	assert_int_equal(open_it(), -EINVAL);
	assert_string_equal(world.steps, "find close release");
	assert_non_null(strstr(err.text, "vhost-user: only"));
}

static int with(uint32_t depth, uint32_t max_data, uint64_t dma_size)
{
	options.depth = depth;
	options.max_data = max_data;
	options.dma_size = dma_size;
	return open_it();
}

static void options_have_bounds(void **state)
{
	static const struct {
		uint32_t depth, max_data;
		uint64_t dma_size;
	} good[] = { { 8, 4096, 1 << 20 }, { 1024, 16 << 20, 1 << 20 }, { 0, 0, 1 << 20 } },
	  bad[] = { { 7, 4096, 1 << 20 },
		    { 1025, 4096, 1 << 20 },
		    { 8, 4095, 1 << 20 },
		    { 8, (16 << 20) + 1, 1 << 20 },
		    { 8, 4096, (1ULL << 40) + 1 } };

	world.fails = "open";
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(good); i++)
		assert_int_equal(with(good[i].depth, good[i].max_data, good[i].dma_size), -EIO);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(bad); i++) {
		assert_int_equal(with(bad[i].depth, bad[i].max_data, bad[i].dma_size), -EINVAL);
		/* Before anything is looked for. */
		assert_string_equal(world.steps, "close release");
		assert_non_null(strstr(err.text, "depth is 8..1024, max_data 4096..16777216"));
	}
	with(8, 4096, 1 << 20);
	options.flags = 1U << 31;
	assert_int_equal(open_it(), -EINVAL);
	assert_non_null(strstr(err.text, "bits that this libviofs doesn't know"));
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_step_that_fails_is_the_last_one_and_all_is_given_back),
		TEST(what_would_help_is_said_by_its_field),
		TEST(a_socket_is_held_by_its_name),
		TEST(a_function_of_another_driver_is_taken_where_it_was_said),
		TEST(queues_are_no_choice_with_pci),
		TEST(options_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
