/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's command line. */
#include "daemon/option_table.h"
#include "daemon/options.h"
#include "relay/channel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#define ARGS_MAX 12

static struct viofs_options o;
static struct viofs_err err;

/* Parse "virtiofs-vfio" and the words up to a NULL. */
static int parse(const char *first, ...)
{
	char *argv[ARGS_MAX + 1] = { (char *)"virtiofs-vfio" };
	const char *word = first;
	int argc = 1;
	va_list ap;

	va_start(ap, first);
	for (; word && argc < ARGS_MAX; word = va_arg(ap, const char *))
		argv[argc++] = (char *)word;
	va_end(ap);
	viofs_options_fini(&o);
	err.text[0] = '\0';
	return viofs_options_parse(argc, argv, &o, &err);
}

static void refused(const char *option, const char *says)
{
	assert_int_equal(parse("-o", option, "myfs", "/mnt", NULL), -EINVAL);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static bool has_mount_words(void)
{
	return o.mount.attributes || o.mount.super || o.mount.labels[0];
}

static void source_and_mount_point_are_taken_in_any_order_with_options(void **state)
{
	assert_int_equal(parse("myfs", "/mnt", NULL), 0);
	assert_string_equal(o.source, "myfs");
	assert_string_equal(o.mountpoint, "/mnt");
	assert_false(has_mount_words());
	assert_false(o.foreground);
	assert_int_equal(parse("myfs", "/mnt", "-o", "ro", "-f", NULL), 0);
	assert_true(o.foreground);
	assert_int_equal(o.mount.attributes, MOUNT_ATTR_RDONLY);
	assert_int_equal(o.mount.super, VIOFS_SUPER_RO);
	assert_int_equal(parse("-d", "myfs", "/mnt", NULL), 0);
	assert_true(o.foreground && o.debug);
}

static void the_form_of_the_rings_can_be_chosen(void **state)
{
	assert_int_equal(parse("myfs", "/mnt", NULL), 0);
	assert_int_equal(o.ring, VIOFS_ATTACH_RING_AUTO);
	assert_int_equal(parse("-o", "ring=split", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.ring, VIOFS_ATTACH_RING_ONLY_SPLIT);
	assert_int_equal(parse("-o", "ring=packed", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.ring, VIOFS_ATTACH_RING_ONLY_PACKED);
	assert_int_equal(parse("-o", "ring=auto", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.ring, VIOFS_ATTACH_RING_AUTO);
	refused("ring=", "auto, split or packed");
	refused("ring=pack", "auto, split or packed");
}

static void notifications_can_be_switched_off(void **state)
{
	assert_int_equal(parse("myfs", "/mnt", NULL), 0);
	assert_true(o.notify == VIOFS_NOTIFY_ON && !o.relay.notify_store);
	assert_int_equal(parse("-o", "notify=off", "myfs", "/mnt", NULL), 0);
	assert_true(o.notify == VIOFS_NOTIFY_OFF && !o.relay.notify_store);
	assert_int_equal(parse("-o", "notify=store", "myfs", "/mnt", NULL), 0);
	assert_true(o.notify == VIOFS_NOTIFY_STORE && o.relay.notify_store);
	assert_int_equal(parse("-o", "notify=on", "myfs", "/mnt", NULL), 0);
	assert_true(o.notify == VIOFS_NOTIFY_ON && !o.relay.notify_store);
	refused("notify=yes", "on, off or store");
}

static void seccomp_is_an_option_of_both_kinds(void **state)
{
	assert_int_equal(parse("myfs", "/mnt", NULL), 0);
	assert_int_equal(o.seccomp, viofs_sandbox_seccomp_default());
	assert_int_equal(parse("--seccomp=none", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.seccomp, VIOFS_SECCOMP_NONE);
	if (viofs_sandbox_seccomp_default() == VIOFS_SECCOMP_KILL) {
		assert_int_equal(parse("-o", "ro,seccomp=log", "myfs", "/mnt", NULL), 0);
		assert_int_equal(o.seccomp, VIOFS_SECCOMP_LOG);
	}
	refused("seccomp=trap", "kill, log or none");
	refused("seccomp=", "kill, log or none");
}

static void defaults_are_those_of_the_relay(void **state)
{
	struct viofs_relay_config c;

	viofs_relay_config_default(&c);
	assert_int_equal(parse("myfs", "/mnt", NULL), 0);
	assert_int_equal(o.relay.poll, VIOFS_POLL_ADAPTIVE);
	assert_int_equal(o.relay.spin_us, c.spin_us);
	assert_int_equal(o.relay.buffers, c.buffers);
	assert_int_equal(o.relay.init_timeout_ms, c.init_timeout_ms);
	assert_int_equal(o.restarts, 4);
	assert_false(o.allow_noiommu || o.small_pages);
}

static void own_options_have_their_effect(void **state)
{
	assert_int_equal(parse("-o", "poll=irq,spin=7,init-timeout=3,grace=0,allow-unsafe-noiommu",
			       "-o", "no-hugepages,max-data=256K,restarts=0", "myfs", "/mnt", NULL),
			 0);
	assert_false(o.relay.sync_dio);
	assert_int_equal(o.relay.poll, VIOFS_POLL_IRQ);
	assert_int_equal(o.relay.spin_us, 7);
	assert_int_equal(o.relay.init_timeout_ms, 3000);
	assert_int_equal(o.grace_s, 0);
	assert_int_equal(o.restarts, 0);
	assert_true(o.allow_noiommu && o.small_pages);
	assert_int_equal(o.relay.max_data, 256 << 10);
	assert_false(has_mount_words());
	assert_int_equal(o.relay.timeout_ms, 0);
	assert_int_equal(parse("-o", "timeout=20,on-loss=eio", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.relay.timeout_ms, 20000);
	assert_int_equal(parse("-o", "no-async-dio", "myfs", "/mnt", NULL), 0);
	assert_true(o.relay.sync_dio);
	assert_false(has_mount_words());
	assert_true(o.on_loss == VIOFS_ON_LOSS_EIO && !o.keeps_state);
	assert_int_equal(parse("-o", "on-loss=wait", "myfs", "/mnt", NULL), 0);
	assert_true(o.on_loss == VIOFS_ON_LOSS_WAIT && !o.keeps_state);
	assert_int_equal(parse("-o", "on-loss=wait,backend-keeps-state", "myfs", "/mnt", NULL), 0);
	assert_true(o.on_loss == VIOFS_ON_LOSS_WAIT && o.keeps_state);
	assert_false(has_mount_words());
	assert_int_equal(CPU_COUNT(&o.cpus), 0);
	assert_int_equal(o.relay.lanes, 1);
	assert_false(o.relay.pin_lanes);
	assert_int_equal(parse("-o", "lanes=64,cpus=1", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.relay.lanes, 64);
	assert_true(o.relay.pin_lanes);
	assert_int_equal(parse("-o", "lanes=1", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.relay.channel, VIOFS_CHANNEL_AUTO);
	assert_int_equal(parse("-o", "channel=dev,cpus=1:3-5:7", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.relay.channel, VIOFS_CHANNEL_DEV);
	assert_int_equal(CPU_COUNT(&o.cpus), 5);
	assert_true(CPU_ISSET(1, &o.cpus) && CPU_ISSET(4, &o.cpus) && CPU_ISSET(7, &o.cpus));
	assert_int_equal(parse("-o", "channel=uring,cpus=0\\,2", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.relay.channel, VIOFS_CHANNEL_URING);
	assert_int_equal(CPU_COUNT(&o.cpus), 2);
	assert_int_equal(parse("-o", "poll=busy", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.relay.poll, VIOFS_POLL_BUSY);
}

static void dma_memory_bounds_the_arena(void **state)
{
	static const size_t wanted[] = { 16, 32, 64, 300 };

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 }, sum = 0;
		char option[32];

		snprintf(option, sizeof(option), "dma-mem=%zuM", wanted[i]);
		assert_int_equal(parse("-o", option, "myfs", "/mnt", NULL), 0);
		viofs_relay_config_arena_sizes(&o.relay, sizes);
		for (int s = 0; s < VIOFS_ARENA_SPARSE; s++) /* what is sparse takes nothing */
			sum += (sizes[s] + (2 << 20) - 1) & ~(size_t)((2 << 20) - 1);
		assert_true(sum <= wanted[i] << 20);
		assert_true(o.relay.buffers >= 4);
	}
}

static void fstabs_own_words_are_dropped(void **state)
{
	assert_int_equal(parse("-o",
			       "defaults,_netdev,_rnetdev,nofail,noauto,nouser,x-systemd.automount,"
			       "x-foo=bar,X-bar,comment=hello,allow_other,default_permissions",
			       "myfs", "/mnt", NULL),
			 0);
	assert_false(has_mount_words());
}

static void other_options_are_kept_for_the_mount(void **state)
{
	assert_int_equal(
		parse("-o", "ro,noatime,nofail", "-o", "context=a:b", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.mount.attributes, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME);
	assert_string_equal(o.mount.labels[0], "context=a:b");
}

/* All that mount(8) knows for a mount, but for what concerns no file system. */
static void all_words_of_mount_are_taken(void **state)
{
	static const struct {
		const char *words;
		uint64_t attributes;
		uint32_t super;
	} cases[] = {
		{ "ro,nosuid,nodev,noexec,nosymfollow",
		  MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
			  MOUNT_ATTR_NOSYMFOLLOW,
		  VIOFS_SUPER_RO },
		{ "ro,rw,nosuid,suid,nodev,dev,noexec,exec,nosymfollow,symfollow", 0, 0 },
		{ "noatime,relatime", 0, 0 },
		{ "noatime,strictatime", MOUNT_ATTR_STRICTATIME, 0 },
		{ "strictatime,nostrictatime,noatime,atime,norelatime", 0, 0 },
		{ "strictatime,noatime", MOUNT_ATTR_NOATIME, 0 },
		{ "nodiratime", MOUNT_ATTR_NODIRATIME, 0 },
		{ "nodiratime,diratime", 0, 0 },
		{ "sync,dirsync,lazytime", 0,
		  VIOFS_SUPER_SYNC | VIOFS_SUPER_DIRSYNC | VIOFS_SUPER_LAZYTIME },
		{ "sync,async,lazytime,nolazytime", 0, 0 },
		{ "iversion,noiversion,nomand,silent,loud,dax=never,dax=inode", 0, 0 },
		{ "nousers,noowner,nogroup,_rnetdev", 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse("-o", cases[i].words, "myfs", "/mnt", NULL))
			fail_msg("%s: %s", cases[i].words, err.text);
		assert_int_equal(o.mount.attributes, cases[i].attributes);
		assert_int_equal(o.mount.super, cases[i].super);
	}
	refused("dax", "DAX window");
	refused("dax=always", "DAX window");
	refused("mand", "mand");
	refused("bogus", "bogus");
}

static void a_remount_takes_what_the_kernel_shows(void **state)
{
	assert_int_equal(parse("-o", "ro,relatime,remount,user_id=0,group_id=0,max_read=262144",
			       "myfs", "/mnt", NULL),
			 0);
	assert_true(o.remount);
	assert_int_equal(o.mount.attributes, MOUNT_ATTR_RDONLY);
}

/* By them a second mount is compared with the first. */
static void words_for_all_mounts_together_are_kept(void **state)
{
	assert_int_equal(parse("-f", "-o", "ro,poll=busy,nofail", "-o", "cpus=0\\,2,no-hugepages",
			       "myfs", "/mnt", "-o", "rootcontext=a", NULL),
			 0);
	assert_int_equal(o.word_count, 4);
	assert_string_equal(o.words[0], "poll=busy");
	assert_string_equal(o.words[1], "cpus=0,2");
	assert_string_equal(o.words[2], "no-hugepages");
	assert_string_equal(o.words[3], "rootcontext=a");
}

static void what_the_daemon_sets_itself_is_refused(void **state)
{
	refused("fsname=x", "fsname=x");
	refused("subtype=x", "sets this mount option itself");
	refused("fd=3", "fd=3");
	refused("max_read=4096", "max_read");
	refused("auto_unmount", "auto_unmount");
}

static void values_out_of_range_are_named(void **state)
{
	refused("poll=sometimes", "poll=sometimes");
	refused("channel=fast", "auto, uring or dev");
	refused("lanes=0", "lanes=0");
	refused("lanes=65", "lanes=65");
	refused("lanes=", "lanes=");
	refused("lanes=two", "lanes=two");
	refused("lanes=-1", "lanes=-1");
	refused("cpus=", "cpus=");
	refused("cpus=a", "cpus=a");
	refused("cpus=1:", "cpus=1:");
	refused("cpus=3-1", "cpus=3-1");
	refused("cpus=1-", "cpus=1-");
	refused("cpus=1x", "cpus=1x");
	refused("cpus=5000", "cpus=5000");
	refused("spin=-1", "spin=-1");
	refused("spin=1000001", "0 to 1000000");
	refused("spin=12us", "spin=12us");
	refused("spin=", "spin=");
	refused("init-timeout=0", "1 to 3600");
	refused("grace=86401", "grace");
	refused("restarts=1001", "0 to 1000");
	refused("timeout=86401", "0 to 86400");
	refused("on-loss=panic", "on-loss=panic");
	refused("backend-keeps-state", "on-loss=wait");
	refused("dma-mem=1M", "dma-mem=1M");
	refused("dma-mem=64X", "dma-mem=64X");
	refused("dma-mem=64MB", "dma-mem=64MB");
	refused("dma-mem=99999999999999999999G", "dma-mem");
	refused("dma-mem=18446744073709551615G", "dma-mem");
	refused("max-data=130K", "multiple of 4K");
	refused("max-data=2M", "max-data=2M");
}

static void a_mount_for_users_is_a_safe_one(void **state)
{
	const uint64_t safe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

	assert_int_equal(parse("-o", "user", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.mount.attributes, safe | MOUNT_ATTR_NOEXEC);
	assert_int_equal(parse("-o", "users,exec,dev", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.mount.attributes, MOUNT_ATTR_NOSUID);
	assert_int_equal(parse("-o", "owner", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.mount.attributes, safe);
	assert_int_equal(parse("-o", "suid,group", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.mount.attributes, safe);
}

static int checked(const char *options, const char *source)
{
	assert_int_equal(parse("-o", options, source, "/mnt", NULL), 0);
	return viofs_options_check(&o, &err);
}

static void what_does_not_fit_this_machine_or_source_is_a_wrong_command_line(void **state)
{
	char mine[32], other[32];
	int cpu = sched_getcpu();

	snprintf(mine, sizeof(mine), "cpus=%d", cpu);
	snprintf(other, sizeof(other), "cpus=%d", CPU_SETSIZE - 1);
	assert_int_equal(checked(mine, "myfs"), 0);
	assert_int_equal(checked(other, "myfs"), -EINVAL);
	assert_non_null(strstr(err.text, "none of these CPUs"));
	snprintf(other, sizeof(other), "cpus=%d:%d", CPU_SETSIZE - 1, cpu);
	assert_int_equal(checked(other, "myfs"), 0);
	assert_int_equal(checked("queues=2", "vhost-user:/run/sock"), 0);
	assert_int_equal(checked("queues=2", "myfs"), -EINVAL);
	assert_int_equal(checked("queues=2", "0000:00:04.0"), -EINVAL);
	assert_int_equal(checked("ro", "vhost-user:"), -EINVAL);
	assert_non_null(strstr(err.text, "lacks the path"));
}

static void missing_and_surplus_arguments_are_said(void **state)
{
	assert_int_equal(parse(NULL), -EINVAL);
	assert_non_null(strstr(err.text, "SOURCE"));
	assert_int_equal(parse("myfs", NULL), -EINVAL);
	assert_non_null(strstr(err.text, "MOUNTPOINT"));
	assert_int_equal(parse("myfs", "/mnt", "more", NULL), -EINVAL);
	assert_non_null(strstr(err.text, "more"));
	assert_int_equal(parse("", "/mnt", NULL), -EINVAL);
	assert_int_equal(parse("-x", "myfs", "/mnt", NULL), -EINVAL);
	assert_non_null(strstr(err.text, "-x"));
	assert_int_equal(parse("--frobnicate", "myfs", "/mnt", NULL), -EINVAL);
	assert_non_null(strstr(err.text, "--frobnicate"));
}

static void help_and_version_need_nothing_else(void **state)
{
	assert_int_equal(parse("--help", NULL), 0);
	assert_true(o.help);
	assert_int_equal(parse("-V", NULL), 0);
	assert_true(o.version);
}

/* What is written in the table about defaults is what an empty command line gives. */
/* Each on a line of its own, with what is to be given and its other name. */
static void help_has_every_option(void **state)
{
	const struct viofs_option *table;
	size_t count = viofs_option_table(&table), len;
	FILE *out;
	char *help;

	out = open_memstream(&help, &len);
	assert_non_null(out);
	fputc('\n', out);
	viofs_option_print_help(out, true);
	viofs_option_print_help(out, false);
	fclose(out);
	for (size_t i = 0; i < count; i++) {
		const struct viofs_option *t = &table[i];
		const char *what = t->value ? t->value : t->alias;
		char line[80], *at;

		if (t->words)
			continue;
		snprintf(line, sizeof(line), "\n  %s", t->name);
		at = strstr(help, line);
		if (!at ||
		    (what && strncmp(at + strlen(line) + (t->value ? 1 : 2), what, strlen(what))))
			fail_msg("no line of %s", t->name);
	}
	free(help);
}

static void defaults_are_as_the_table_says(void **state)
{
	const struct viofs_option *table;
	size_t count = viofs_option_table(&table);

	assert_int_equal(parse("myfs", "/mnt", NULL), 0);
	for (size_t i = 0; i < count; i++) {
		const struct viofs_option *t = &table[i];
		unsigned int scale = t->scale ? t->scale : 1, spin = t->max == 1000000;
		uint32_t field;

		if (t->kind != VIOFS_OPTION_NUMBER || !t->standard || !strcmp(t->name, "queues"))
			continue;
		/* Where there is one CPU spinning has another default. */
		if (spin && !o.relay.spin_us)
			continue;
		memcpy(&field, (const char *)&o + t->offset, sizeof(field));
		if (strtoul(t->standard, NULL, 10) * scale != field)
			fail_msg("%s isn't %s but %u", t->name, t->standard, field);
	}
}

static void both_ends_of_each_range_are_taken(void **state)
{
	const struct viofs_option *table;
	size_t count = viofs_option_table(&table);
	char word[64];

	for (size_t i = 0; i < count; i++) {
		const uint64_t ends[] = { table[i].min, table[i].max };

		for (int end = 0; end < 2 && table[i].max; end++) {
			snprintf(word, sizeof(word), "%s=%llu", table[i].name,
				 (unsigned long long)ends[end]);
			if (parse("-o", word, "myfs", "/mnt", NULL))
				fail_msg("%s: %s", word, err.text);
		}
	}
}

/* A second mount's options are compared with the first one's by their own names. */
static void an_alias_is_the_option_itself(void **state)
{
	assert_int_equal(parse("-o", "workers=3", "myfs", "/mnt", NULL), 0);
	assert_int_equal(o.relay.lanes, 3);
	assert_int_equal(o.word_count, 1);
	assert_string_equal(o.words[0], "lanes=3");
	refused("workers=0", "lanes=0");
	refused("lanes", "no option");
	refused("no-hugepages=1", "no option");
}

/* In the words of channel.c and sandbox.c, which others print. */
static void words_of_choices_are_the_names_of_their_values(void **state)
{
	for (int i = 0; i <= VIOFS_CHANNEL_DEV; i++)
		assert_string_equal(viofs_option_choice("channel", (unsigned int)i),
				    viofs_channel_name((enum viofs_channel)i));
	for (int i = 0; i <= VIOFS_SECCOMP_NONE; i++)
		assert_string_equal(viofs_option_choice("seccomp", (unsigned int)i),
				    viofs_seccomp_name((enum viofs_seccomp)i));
}

static void sizes_are_written_as_they_are_read(void **state)
{
	char text[24];

	assert_string_equal(viofs_option_size(0, text, sizeof(text)), "0");
	assert_string_equal(viofs_option_size(1000, text, sizeof(text)), "1000");
	assert_string_equal(viofs_option_size(130 << 10, text, sizeof(text)), "130K");
	assert_string_equal(viofs_option_size(1 << 20, text, sizeof(text)), "1M");
	assert_string_equal(viofs_option_size(1ULL << 40, text, sizeof(text)), "1024G");
	refused("dma-mem=", "a size is needed");
	refused("max-data=1K", "from 128K to 1M");
	refused("dma-mem=9999G", "such as 64M");
}

static int end(void **state)
{
	viofs_options_fini(&o);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(source_and_mount_point_are_taken_in_any_order_with_options),
		cmocka_unit_test(the_form_of_the_rings_can_be_chosen),
		cmocka_unit_test(notifications_can_be_switched_off),
		cmocka_unit_test(seccomp_is_an_option_of_both_kinds),
		cmocka_unit_test(defaults_are_those_of_the_relay),
		cmocka_unit_test(own_options_have_their_effect),
		cmocka_unit_test(dma_memory_bounds_the_arena),
		cmocka_unit_test(fstabs_own_words_are_dropped),
		cmocka_unit_test(other_options_are_kept_for_the_mount),
		cmocka_unit_test(all_words_of_mount_are_taken),
		cmocka_unit_test(a_remount_takes_what_the_kernel_shows),
		cmocka_unit_test(words_for_all_mounts_together_are_kept),
		cmocka_unit_test(what_the_daemon_sets_itself_is_refused),
		cmocka_unit_test(values_out_of_range_are_named),
		cmocka_unit_test(missing_and_surplus_arguments_are_said),
		cmocka_unit_test(a_mount_for_users_is_a_safe_one),
		cmocka_unit_test(what_does_not_fit_this_machine_or_source_is_a_wrong_command_line),
		cmocka_unit_test(help_and_version_need_nothing_else),
		cmocka_unit_test(help_has_every_option),
		cmocka_unit_test(defaults_are_as_the_table_says),
		cmocka_unit_test(both_ends_of_each_range_are_taken),
		cmocka_unit_test(an_alias_is_the_option_itself),
		cmocka_unit_test(words_of_choices_are_the_names_of_their_values),
		cmocka_unit_test(sizes_are_written_as_they_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
