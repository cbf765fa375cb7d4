/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Claiming a device step by step: who is waited for, and what is undone where a step fails. */
#include "base/log.h"
#include "base/util.h"
#include "daemon/claim.h"
#include "attach/usage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What there is, and what was done: all steps are linked in place of the real ones. */
static struct {
	char steps[256];   /* "sweep hold ..." */
	const char *fails; /* the step that does */
	int wait_ms;       /* that the hold was asked for with */
	int state_rc;      /* of viofs_usage_read() */
	struct viofs_usage state;
	struct viofs_attach_options options;
	bool has_link; /* the back end tracks */
	bool hugepages;
	int release_rc;
} world;

static const struct viofs_virtio_return_ops returns;
static struct viofs_virtio virtio;
static struct viofs_fs fs;
static struct viofs_err err;
static char said[1024];

static int step(const char *name, struct viofs_err *e)
{
	size_t len = strlen(world.steps);

	snprintf(world.steps + len, sizeof(world.steps) - len, "%s%s", len ? " " : "", name);
	if (!world.fails || strcmp(world.fails, name))
		return 0;
	return viofs_err_set(e, -EIO, "%s failed", name);
}

void __wrap_viofs_hold_sweep(void);
int __wrap_viofs_usage_read(const char *id, struct viofs_usage *out);
int __wrap_viofs_hold_take_name(const char *id, const char *device, int wait_ms,
				struct viofs_hold *hold, struct viofs_err *e);
int __wrap_viofs_hold_take(const struct viofs_pci_function *f, int wait_ms, struct viofs_hold *hold,
			   struct viofs_err *e);
int __wrap_viofs_hold_release(struct viofs_hold *hold, struct viofs_err *e);
int __wrap_viofs_attach_open(const struct viofs_source *s,
			     const struct viofs_attach_options *options, struct viofs_fs **out,
			     struct viofs_err *e);
int __wrap_viofs_attach_map(const struct viofs_fs *f, struct viofs_arena *arena,
			    struct viofs_err *e);
int __wrap_viofs_attach_close(struct viofs_fs *f, struct viofs_arena *arena);
void __wrap_viofs_fs_arena_sizes(const struct viofs_fs *f, size_t sizes[VIOFS_ARENA_SECTIONS]);
int __wrap_viofs_fs_start(struct viofs_fs *f, struct viofs_arena *arena, struct viofs_err *e);
int __wrap_viofs_arena_new(const size_t sizes[VIOFS_ARENA_SECTIONS], bool hugepages,
			   struct viofs_arena **out, struct viofs_err *e);
void __wrap_viofs_arena_free(struct viofs_arena *arena);
int __wrap_viofs_relay_new(const struct viofs_relay_config *config, struct viofs_fs *f,
			   struct viofs_arena *arena, struct viofs_relay **out,
			   struct viofs_err *e);
void __wrap_viofs_relay_free(struct viofs_relay *r);
unsigned int __wrap_viofs_observe_lanes(const struct viofs_relay *r);
int __wrap_viofs_capture_new(unsigned int lanes, struct viofs_capture **out);

void __wrap_viofs_hold_sweep(void)
{
	step("sweep", NULL);
}

int __wrap_viofs_usage_read(const char *id, struct viofs_usage *out)
{
	assert_string_equal(id, "an-id");
	if (!world.state_rc)
		*out = world.state;
	return world.state_rc;
}

int __wrap_viofs_hold_take_name(const char *id, const char *device, int wait_ms,
				struct viofs_hold *hold, struct viofs_err *e)
{
	assert_string_equal(id, "an-id");
	world.wait_ms = wait_ms;
	return step("name", e);
}

int __wrap_viofs_hold_take(const struct viofs_pci_function *f, int wait_ms, struct viofs_hold *hold,
			   struct viofs_err *e)
{
	world.wait_ms = wait_ms;
	return step("bind", e);
}

int __wrap_viofs_hold_release(struct viofs_hold *hold, struct viofs_err *e)
{
	step("release", e);
	return world.release_rc ? viofs_err_set(e, world.release_rc, "no driver takes it") : 0;
}

int __wrap_viofs_attach_open(const struct viofs_source *s,
			     const struct viofs_attach_options *options, struct viofs_fs **out,
			     struct viofs_err *e)
{
	world.options = *options;
	*out = &fs;
	fs.virtio = &virtio;
	virtio.returns = world.has_link ? &returns : NULL;
	return step("open", e);
}

int __wrap_viofs_attach_map(const struct viofs_fs *f, struct viofs_arena *arena,
			    struct viofs_err *e)
{
	assert_ptr_equal(arena, &world);
	return step("map", e);
}

int __wrap_viofs_attach_close(struct viofs_fs *f, struct viofs_arena *arena)
{
	return step("close", NULL);
}

void __wrap_viofs_fs_arena_sizes(const struct viofs_fs *f, size_t sizes[VIOFS_ARENA_SECTIONS])
{
	sizes[VIOFS_ARENA_DEVICE_READ] += 4096;
}

int __wrap_viofs_fs_start(struct viofs_fs *f, struct viofs_arena *arena, struct viofs_err *e)
{
	assert_ptr_equal(f, &fs);
	return step("start", e);
}

int __wrap_viofs_arena_new(const size_t sizes[VIOFS_ARENA_SECTIONS], bool hugepages,
			   struct viofs_arena **out, struct viofs_err *e)
{
	struct viofs_relay_config config;
	size_t needed[VIOFS_ARENA_SECTIONS] = { 0 };
	int rc = step("arena", e);

	/* Both the device's part and the relay's. */
	viofs_relay_config_default(&config);
	viofs_relay_config_arena_sizes(&config, needed);
	for (int i = 0; i < VIOFS_ARENA_SECTIONS; i++)
		assert_int_equal(sizes[i], needed[i] + (i == VIOFS_ARENA_DEVICE_READ ? 4096 : 0));
	world.hugepages = hugepages;
	if (!rc)
		*out = (struct viofs_arena *)(void *)&world;
	return rc;
}

void __wrap_viofs_arena_free(struct viofs_arena *arena)
{
	step(arena ? "free-arena" : "no-arena", NULL);
}

int __wrap_viofs_relay_new(const struct viofs_relay_config *config, struct viofs_fs *f,
			   struct viofs_arena *arena, struct viofs_relay **out, struct viofs_err *e)
{
	int rc = step("relay", e);

	assert_ptr_equal(arena, &world);
	if (!rc)
		*out = (struct viofs_relay *)(void *)&fs;
	return rc;
}

unsigned int __wrap_viofs_observe_lanes(const struct viofs_relay *r)
{
	return 1;
}

/* A claim does without. */
int __wrap_viofs_capture_new(unsigned int lanes, struct viofs_capture **out)
{
	return -ENOTSUP;
}

void __wrap_viofs_relay_free(struct viofs_relay *r)
{
	step(r ? "free-relay" : "no-relay", NULL);
}

static void sink(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof(said) - len, "%s\n", message);
}

static struct viofs_source source;
static struct viofs_options options;

static int set_up(void **state)
{
	static char name[] = "the-source";

	memset(&world, 0, sizeof(world));
	memset(&err, 0, sizeof(err));
	source = (struct viofs_source){ .transport = viofs_transport_function() };
	memset(&options, 0, sizeof(options));
	said[0] = '\0';
	snprintf(source.id, sizeof(source.id), "an-id");
	world.state_rc = -ENOENT;
	options.source = name;
	viofs_relay_config_default(&options.relay);
	viofs_log_set_sink(sink, VIOFS_LOG_DEBUG);
	return 0;
}

static int tear_down(void **state)
{
	viofs_log_set_sink(NULL, VIOFS_LOG_DEBUG);
	return 0;
}

static const struct viofs_transport *back_end(void)
{
	return viofs_transport_of("vhost-user:");
}

static int wait_where(int state_rc, int pid, const char *mountpoint)
{
	struct viofs_claim *c = NULL;

	world.steps[0] = '\0';
	world.state_rc = state_rc;
	memset(&world.state, 0, sizeof(world.state));
	world.state.record.pid = pid;
	snprintf(world.state.at.mountpoint, sizeof(world.state.at.mountpoint), "%s", mountpoint);
	world.wait_ms = -1;
	assert_int_equal(viofs_claim_open(&source, &options, &c, &err), 0);
	assert_int_equal(viofs_claim_close(c, &err), 0);
	return world.wait_ms;
}

static void only_a_daemon_that_has_unmounted_is_waited_for(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		source.transport = kind ? back_end() : viofs_transport_function();
		assert_int_equal(wait_where(-ENOENT, 0, ""), 0);
		assert_int_equal(wait_where(-ENOENT, 123, ""), 0);
		assert_int_equal(wait_where(0, 0, ""), 0);
		assert_int_equal(wait_where(0, 123, "/mnt"), 0);
		assert_in_range(wait_where(0, 123, ""), 10000, 20000);
	}
}

static void all_is_got_in_order_and_given_back(void **state)
{
	struct viofs_claim *c = NULL;

	assert_int_equal(viofs_claim_open(&source, &options, &c, &err), 0);
	assert_non_null(c);
	assert_non_null(c->relay);
	assert_non_null(c->at.arena);
	assert_string_equal(world.steps, "sweep bind open arena map start relay");
	assert_true(world.hugepages);
	world.steps[0] = '\0';
	assert_int_equal(viofs_claim_close(c, &err), 0);
	assert_string_equal(world.steps, "close free-relay free-arena release");
	assert_int_equal(viofs_claim_close(NULL, &err), 0);
	options.small_pages = true;
	source.transport = back_end();
	world.steps[0] = '\0';
	assert_int_equal(viofs_claim_open(&source, &options, &c, &err), 0);
	assert_string_equal(world.steps, "sweep name open arena map start relay");
	assert_false(world.hugepages);
	world.release_rc = -EBUSY;
	assert_int_equal(viofs_claim_close(c, &err), -EBUSY);
	assert_string_equal(said, "");
}

static void a_step_that_fails_is_the_last_one_and_all_is_given_back(void **state)
{
	static const struct {
		const char *fails, *steps;
	} cases[] = {
		{ "bind", "sweep bind" },
		{ "open", "sweep bind open close no-relay no-arena release" },
		{ "arena", "sweep bind open arena close no-relay no-arena release" },
		{ "map", "sweep bind open arena map close no-relay free-arena release" },
		{ "start", "sweep bind open arena map start close no-relay free-arena release" },
		{ "relay",
		  "sweep bind open arena map start relay close no-relay free-arena release" },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		struct viofs_claim *c = NULL;
		char text[64];

		set_up(state);
		world.fails = cases[i].fails;
		assert_int_equal(viofs_claim_open(&source, &options, &c, &err), -EIO);
		assert_null(c);
		assert_string_equal(world.steps, cases[i].steps);
		/* Taking a function names it by itself. */
		snprintf(text, sizeof(text), "%s%s failed", i ? "the-source: " : "",
			 cases[i].fails);
		assert_string_equal(err.text, text);
		assert_string_equal(said, "");
	}
}

static void a_socket_that_is_taken_is_named(void **state)
{
	struct viofs_claim *c = NULL;

	source.transport = back_end();
	world.fails = "name";
	assert_int_equal(viofs_claim_open(&source, &options, &c, &err), -EIO);
	assert_string_equal(world.steps, "sweep name");
	assert_string_equal(err.text, "the-source: name failed");
}

static void what_cannot_be_given_back_is_said_beside_the_reason(void **state)
{
	struct viofs_claim *c = NULL;

	world.fails = "map";
	world.release_rc = -EBUSY;
	assert_int_equal(viofs_claim_open(&source, &options, &c, &err), -EIO);
	assert_string_equal(err.text, "the-source: map failed");
	assert_string_equal(said, "the-source could not be given back to its driver: no driver "
				  "takes it\n");
}

static void a_device_that_does_not_stop_is_said(void **state)
{
	struct viofs_claim *c = NULL;

	assert_int_equal(viofs_claim_open(&source, &options, &c, &err), 0);
	snprintf(c->at.hold.id, sizeof(c->at.hold.id), "0000:00:05.0");
	viofs_claim_let_go(c);
	assert_string_equal(said, "");
	world.fails = "close";
	assert_int_equal(viofs_claim_close(c, &err), 0);
	assert_non_null(strstr(said, "0000:00:05.0: the device could not be stopped"));
}

static void it_waits_on_loss_where_all_that_takes_is_there(void **state)
{
	static const struct {
		bool back_end;
		bool wait, keeps, link, track;
		const char *says;
	} cases[] = {
		{ true, true, true, true, true, NULL },
		{ true, true, true, false, true, "INFLIGHT_SHMFD" },
		{ true, true, false, true, false, "backend-keeps-state" },
		{ true, false, true, true, false, NULL },
		{ true, false, true, false, false, NULL },
		{ false, true, true, false, false, "vhost-user: sources" },
		{ false, false, false, false, false, NULL },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		struct viofs_claim *c = NULL;

		set_up(state);
		source.transport = cases[i].back_end ? back_end() : viofs_transport_function();
		options.on_loss = cases[i].wait ? VIOFS_ON_LOSS_WAIT : VIOFS_ON_LOSS_EIO;
		options.keeps_state = cases[i].keeps;
		options.notify = i % 2 ? VIOFS_NOTIFY_OFF : VIOFS_NOTIFY_STORE;
		options.allow_noiommu = !(i % 2);
		options.queues = 3;
		options.ring = VIOFS_ATTACH_RING_ONLY_SPLIT;
		world.has_link = cases[i].link;
		assert_int_equal(viofs_claim_open(&source, &options, &c, &err), 0);
		assert_int_equal(world.options.transport.track, cases[i].track);
		assert_int_equal(world.options.notification, !(i % 2));
		assert_int_equal(world.options.transport.allow_noiommu, !(i % 2));
		assert_int_equal(world.options.transport.queues, 3);
		assert_int_equal(world.options.ring, VIOFS_ATTACH_RING_ONLY_SPLIT);
		if (cases[i].says) {
			assert_non_null(strstr(said, "on-loss=eio is used"));
			assert_non_null(strstr(said, cases[i].says));
			/* Once. */
			assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		} else {
			assert_string_equal(said, "");
		}
		assert_int_equal(viofs_claim_close(c, &err), 0);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_a_daemon_that_has_unmounted_is_waited_for),
		TEST(all_is_got_in_order_and_given_back),
		TEST(a_step_that_fails_is_the_last_one_and_all_is_given_back),
		TEST(a_socket_that_is_taken_is_named),
		TEST(what_cannot_be_given_back_is_said_beside_the_reason),
		TEST(a_device_that_does_not_stop_is_said),
		TEST(it_waits_on_loss_where_all_that_takes_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
