/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library's nodes and names: what is counted, what is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/nodecache.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fuse_entry_out entry(uint64_t nodeid)
{
	return (struct fuse_entry_out){
		.nodeid = nodeid,
		.attr = { .ino = nodeid, .mode = S_IFREG | 0644 },
	};
}

static int setup(void **state)
{
	static struct viofs_cache c;

	memset(&c, 0, sizeof(c));
	*state = &c;
	return viofs_cache_init(&c, 4);
}

static int teardown(void **state)
{
	viofs_cache_fini(*state);
	return 0;
}

static struct viofs_node *take(struct viofs_cache *c, uint64_t nodeid)
{
	const struct fuse_entry_out e = entry(nodeid);
	struct viofs_node *n = viofs_node_take(c, &e);

	assert_non_null(n);
	return n;
}

static void lookups_are_given_back_with_the_last_reference(void **state)
{
	struct fuse_forget_one one[4];
	struct viofs_cache *c = *state;
	struct viofs_node *n = take(c, 7);

	assert_ptr_equal(take(c, 7), n);
	viofs_node_get(c, n);
	viofs_node_put(c, n);
	viofs_node_put(c, n);
	assert_int_equal(viofs_forget_take(c, one, 4), 0);
	viofs_node_put(c, n);
	assert_int_equal(viofs_forget_take(c, one, 4), 1);
	assert_int_equal(one[0].nodeid, 7);
	assert_int_equal(one[0].nlookup, 2);
	assert_int_equal(c->lookups, 0);
	assert_int_equal(c->node_count, 0);
}

/* A device may take none of them, for ever. */
static void forgets_that_nobody_takes_are_bounded(void **state)
{
	struct fuse_forget_one one;
	struct viofs_cache *c = *state;
	unsigned int most;

	for (uint64_t i = 0; i < 3 << 20; i++)
		viofs_forget_add(c, 2 + i, 1);
	most = c->forget_count;
	assert_in_range(most, 1 << 20, 2 << 20);
	assert_in_range(c->forget_room, most, 2 << 20);
	/* What is not noted is nothing that waits. */
	assert_int_equal(c->lookups, most);
	assert_int_equal(viofs_forget_take(c, &one, 1), 1);
	assert_int_equal(c->lookups, most - 1);
	viofs_forget_add(c, 2, 1);
	assert_int_equal(c->forget_count, most);
}

static void a_name_holds_its_node_until_it_is_dropped(void **state)
{
	struct fuse_forget_one one[4];
	struct viofs_cache *c = *state;
	struct viofs_node *n = take(c, 7);

	viofs_name_set(c, &c->root, "a", n, 1000, 0);
	viofs_node_put(c, n);
	assert_int_equal(viofs_forget_take(c, one, 4), 0);
	assert_ptr_equal(viofs_name_find(c, &c->root, "a"), n);
	viofs_node_put(c, n);
	assert_null(viofs_name_find(c, &c->root, "b"));
	assert_null(viofs_name_find(c, n, "a"));
	viofs_name_drop(c, &c->root, "a");
	assert_null(viofs_name_find(c, &c->root, "a"));
	assert_int_equal(viofs_forget_take(c, one, 4), 1);
}

static void a_name_is_another_nodes_once_it_is_set_again(void **state)
{
	struct fuse_forget_one one[4];
	struct viofs_cache *c = *state;
	struct viofs_node *a = take(c, 7), *b = take(c, 8);

	viofs_name_set(c, &c->root, "a", a, 1000, 0);
	viofs_name_set(c, &c->root, "a", b, 1000, 0);
	viofs_node_put(c, a);
	viofs_node_put(c, b);
	assert_int_equal(viofs_forget_take(c, one, 4), 1);
	assert_int_equal(one[0].nodeid, 7);
	assert_ptr_equal(viofs_name_find(c, &c->root, "a"), b);
	viofs_node_put(c, b);
	assert_int_equal(c->name_count, 1);
}

static void names_end_with_their_time(void **state)
{
	struct fuse_forget_one one[4];
	struct viofs_cache *c = *state;
	struct viofs_node *n = take(c, 7);

	viofs_name_set(c, &c->root, "never", n, 0, 0);
	assert_null(viofs_name_find(c, &c->root, "never"));
	viofs_name_set(c, &c->root, "short", n, 0, 1000000);
	usleep(2000);
	assert_null(viofs_name_find(c, &c->root, "short"));
	/* Numbers that can't be are for ever. */
	viofs_name_set(c, &c->root, "long", n, UINT64_MAX, UINT32_MAX);
	assert_ptr_equal(viofs_name_find(c, &c->root, "long"), n);
	viofs_node_put(c, n);
	viofs_node_put(c, n);
	assert_int_equal(viofs_forget_take(c, one, 4), 0);
}

/* Of one second and nearly another one; a busy machine may be that late now and then. */
static void a_validity_is_of_seconds_and_nanoseconds(void **state)
{
	struct fuse_attr attr = { .mode = S_IFREG | 0644 };
	struct viofs_cache *c = *state;
	struct viofs_node *n = take(c, 7);
	bool holds = false;

	for (int i = 0; i < 100 && !holds; i++) {
		viofs_node_set_attr(c, n, &attr, 1, 999999999);
		holds = viofs_node_attr(c, n, &attr);
	}
	assert_true(holds);
	viofs_node_set_attr(c, n, &attr, 0, 1);
	usleep(1);
	assert_false(viofs_node_attr(c, n, &attr));
	viofs_node_put(c, n);
}

static void the_name_that_was_used_least_goes_first(void **state)
{
	static const char *const names[] = { "0", "1", "2", "3", "4" };
	struct viofs_cache *c = *state;
	struct viofs_node *n;

	for (uint64_t i = 0; i < 4; i++) {
		n = take(c, 10 + i);
		viofs_name_set(c, &c->root, names[i], n, 1000, 0);
		viofs_node_put(c, n);
	}
	viofs_node_put(c, viofs_name_find(c, &c->root, "0"));
	n = take(c, 20);
	viofs_name_set(c, &c->root, "4", n, 1000, 0);
	viofs_node_put(c, n);
	assert_int_equal(c->name_count, 4);
	assert_null(viofs_name_find(c, &c->root, "1"));
	n = viofs_name_find(c, &c->root, "0");
	assert_non_null(n);
	viofs_node_put(c, n);
	assert_int_equal(c->forget_count, 1);
}

/* A folder stays as long as names in it are known: its number could be another's else. */
static void a_folder_lives_as_long_as_names_in_it(void **state)
{
	struct fuse_forget_one one[4];
	struct viofs_cache *c = *state;
	struct viofs_node *folder = take(c, 7), *n = take(c, 8);

	viofs_name_set(c, folder, "in", n, 1000, 0);
	viofs_node_put(c, folder);
	viofs_node_put(c, n);
	assert_int_equal(viofs_forget_take(c, one, 4), 0);
	viofs_cache_drop(c);
	assert_int_equal(viofs_forget_take(c, one, 4), 2);
	assert_int_equal(c->node_count, 0);
}

static void attributes_hold_as_long_as_the_device_says(void **state)
{
	struct viofs_cache *c = *state;
	struct viofs_node *n = take(c, 7);
	struct fuse_attr attr;

	assert_false(viofs_node_attr(c, n, &attr));
	attr.size = 99;
	viofs_node_set_attr(c, n, &attr, 1000, 0);
	attr.size = 0;
	assert_true(viofs_node_attr(c, n, &attr));
	assert_int_equal(attr.size, 99);
	viofs_node_stale(c, n);
	assert_false(viofs_node_attr(c, n, &attr));
	viofs_node_put(c, n);
}

static void forgets_that_could_not_be_sent_wait_again(void **state)
{
	struct fuse_forget_one one[2];
	struct viofs_cache *c = *state;

	for (uint64_t i = 0; i < 1000; i++)
		viofs_node_put(c, take(c, 100 + i));
	assert_int_equal(c->lookups, 1000);
	assert_int_equal(viofs_forget_take(c, one, 2), 2);
	assert_int_equal(c->lookups, 998);
	viofs_forget_add(c, one[0].nodeid, one[0].nlookup);
	assert_int_equal(c->lookups, 999);
	assert_int_equal(c->forget_count, 999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lookups_are_given_back_with_the_last_reference,
						setup, teardown),
		cmocka_unit_test_setup_teardown(forgets_that_nobody_takes_are_bounded, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_name_holds_its_node_until_it_is_dropped, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_name_is_another_nodes_once_it_is_set_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(names_end_with_their_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_validity_is_of_seconds_and_nanoseconds, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_name_that_was_used_least_goes_first, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_folder_lives_as_long_as_names_in_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(attributes_hold_as_long_as_the_device_says, setup,
						teardown),
		cmocka_unit_test_setup_teardown(forgets_that_could_not_be_sent_wait_again, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
