/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which sizes of a session a successor takes from its state: those at the bounds, and none beyond.
 */
#include "base/page.h"
#include "base/util.h"
#include "relay/layout.h"
#include "relay/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct viofs_relay relay;
static struct viofs_fs fs;
static struct viofs_layout found;
static struct viofs_err err;

/* The state of a session with these sizes. */
static struct viofs_relay_config *make(const struct viofs_relay_config *config)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };

	memset(&relay, 0, sizeof(relay));
	viofs_relay_config_arena_sizes(config, sizes);
	assert_int_equal(viofs_arena_new(sizes, false, &relay.arena, NULL), 0);
	relay.config = *config;
	relay.fs = &fs;
	viofs_layout_new(config, relay.arena, &relay.layout);
	relay.layout.session->config = *config;
	viofs_layout_publish(&relay);
	assert_int_equal(viofs_layout_check(relay.arena, NULL), 0);
	return &relay.layout.session->config;
}

static void is_taken(const struct viofs_relay_config *config)
{
	make(config);
	if (viofs_layout_adopt(relay.arena, &found, &err))
		fail_msg("%s", err.text);
	assert_ptr_equal(found.session, relay.layout.session);
	assert_ptr_equal(found.lanes, relay.layout.lanes);
	assert_ptr_equal(found.slots.buffers, relay.layout.slots.buffers);
	assert_ptr_equal(found.latency, relay.layout.latency);
	viofs_arena_free(relay.arena);
}

static struct viofs_relay_config small(void)
{
	return (struct viofs_relay_config){
		.slots = 16, .buffers = 4, .max_data = 128 << 10, .lanes = 1
	};
}

/* @check of small sizes, but for one of them. */
#define with(check, field, value)                                                                  \
	do {                                                                                       \
		struct viofs_relay_config one = small();                                           \
		one.field = (value);                                                               \
		check(&one);                                                                       \
	} while (0)

static void the_least_and_the_most_are_taken(void **state)
{
	struct viofs_relay_config c = small();

	is_taken(&c);
	with(is_taken, lanes, VIOFS_LANES_MAX);
	with(is_taken, slots, 1);
	with(is_taken, slots, 32767);
	with(is_taken, buffers, 1);
	with(is_taken, max_data, VIOFS_PAGE_LEAST);
	with(is_taken, max_data, 1U << 20);
	with(is_taken, poll, VIOFS_POLL_IRQ);
	with(is_taken, channel, VIOFS_CHANNEL_DEV);
	with(is_taken, loop, VIOFS_LOOP_EPOLL);
	with(is_taken, queues, 65536);
	with(is_taken, depth, 64);
	c.max_data = VIOFS_PAGE_LEAST;
	c.buffers = VIOFS_RELAY_BUFFERS_MAX;
	is_taken(&c);
	/* As many entries as there are slots, and buffers. */
	c = small();
	c.queues = c.depth = 4;
	c.buffers = 17;
	is_taken(&c);
	c.slots = 17;
	c.buffers = 16;
	is_taken(&c);
}

/* The session says so of itself, and nothing is looked for where these sizes say that it is. */
static void is_refused(const struct viofs_relay_config *lie)
{
	const struct viofs_relay_config c = small();

	*make(&c) = *lie;
	err.text[0] = '\0';
	assert_int_equal(viofs_layout_adopt(relay.arena, &found, &err), -EPROTO);
	assert_non_null(strstr(err.text, "sizes that make no sense"));
	assert_null(found.interrupts);
	viofs_arena_free(relay.arena);
}

static void what_is_beyond_is_refused(void **state)
{
	struct viofs_relay_config c = small();

	with(is_refused, lanes, 0);
	with(is_refused, lanes, VIOFS_LANES_MAX + 1);
	with(is_refused, slots, 0);
	with(is_refused, slots, 32768);
	with(is_refused, buffers, 0);
	with(is_refused, buffers, VIOFS_RELAY_BUFFERS_MAX + 1);
	with(is_refused, max_data, VIOFS_PAGE_LEAST - 1);
	with(is_refused, max_data, (1U << 20) + 1);
	with(is_refused, poll, (enum viofs_poll)(VIOFS_POLL_IRQ + 1));
	with(is_refused, channel, (enum viofs_channel)(VIOFS_CHANNEL_DEV + 1));
	with(is_refused, loop, (enum viofs_loop_kind)(VIOFS_LOOP_EPOLL + 1));
	with(is_refused, queues, 65537);
	with(is_refused, depth, 65);
	c.queues = 17;
	c.depth = 1;
	c.buffers = 17;
	is_refused(&c);
	c.slots = 17;
	c.buffers = 16;
	is_refused(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_and_the_most_are_taken),
		cmocka_unit_test(what_is_beyond_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
