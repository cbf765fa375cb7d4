/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's options: the table, reading of values, lines of --help. */
#include "daemon/option_table.h"
#include "base/util.h"
#include "daemon/options.h"
#include "relay/channel.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Where the text of --help begins, and how long its lines are. */
#define HELP_COLUMN 24
#define HELP_WIDTH 80

/* The field of an option, whose type must be the one of the option's kind. */
#define FIELD(which, type, field)                                                                  \
	.kind = VIOFS_OPTION_##which,                                                              \
	.offset = offsetof(struct viofs_options, field) +                                          \
		  0 * _Generic(((struct viofs_options *)0)->field, type : 1)
#define FLAG(field) FIELD(FLAG, bool, field)
#define NUMBER(field) FIELD(NUMBER, uint32_t, field)
#define SIZE(field) FIELD(SIZE, uint64_t, field)
#define CPUS(field) FIELD(CPUS, cpu_set_t, field)
#define CHOICE(type, field, ...)                                                                   \
	FIELD(CHOICE, type, field), .words = (const struct viofs_option_word[])                    \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			NULL, NULL                                                                 \
		}                                                                                  \
	}

static const struct viofs_option table[] = {
	{ .name = "-f",
	  .alias = "--foreground",
	  FLAG(foreground),
	  .help = "stay in the foreground, messages to standard error" },
	{ .name = "-d",
	  .alias = "--debug",
	  FLAG(debug),
	  .help = "the same, with debugging messages" },
	{ .name = "-h", .alias = "--help", FLAG(help), .help = "this text" },
	{ .name = "-V", .alias = "--version", FLAG(version), .help = "the version" },

	{ .name = "poll",
	  CHOICE(enum viofs_poll, relay.poll,
		 [VIOFS_POLL_ADAPTIVE] = { "adaptive",
					   "spin while there is work and a little after, then "
					   "sleep" },
		 [VIOFS_POLL_BUSY] = { "busy",
				       "never sleep: lowest latency, needs a CPU of its own" },
		 [VIOFS_POLL_IRQ] = { "irq", "never spin: least CPU time" }) },
	{ .name = "lanes",
	  .alias = "workers",
	  NUMBER(relay.lanes),
	  .min = 1,
	  .max = VIOFS_LANES_MAX,
	  .standard = "1",
	  .value = "N",
	  .help = "threads that serve, each with a share of the request queues, and no more "
		  "than the device has of those. workers=N means the same" },
	{ .name = "cpus",
	  CPUS(cpus),
	  .standard = "those that the daemon may use",
	  .value = "LIST",
	  .help = "run on these CPUs only, such as 1 or 0:2-3; with several lanes each has one of "
		  "them, in turn" },
	{ .name = "channel",
	  CHOICE(enum viofs_channel, relay.channel,
		 [VIOFS_CHANNEL_AUTO] = { "auto",
					  "take requests from the kernel the way that measured "
					  "faster" },
		 [VIOFS_CHANNEL_URING] = { "uring",
					   "FUSE over io_uring (Linux 6.14; enable_uring=Y of the "
					   "fuse module)" },
		 [VIOFS_CHANNEL_DEV] = { "dev", "/dev/fuse" }) },
	/* Not "loop": mount(8) takes that for itself, and sets up a loop device. */
	{ .name = "events",
	  CHOICE(enum viofs_loop_kind, relay.loop,
		 [VIOFS_LOOP_AUTO] = { "auto",
				       "wait by io_uring, or by epoll where it is not allowed" },
		 [VIOFS_LOOP_URING] = { "io_uring", "fail where there is no io_uring" },
		 [VIOFS_LOOP_EPOLL] = { "epoll", "use no io_uring" }) },
	{ .name = "spin",
	  NUMBER(relay.spin_us),
	  .max = 1000000,
	  .standard = "300; 0 with one CPU",
	  .value = "US",
	  .help = "with poll=adaptive: microseconds to spin with nothing to do" },
	{ .name = "dma-mem",
	  SIZE(dma_mem),
	  .standard = "about 32M",
	  .value = "SIZE",
	  .help = "memory for the device to read and write" },
	{ .name = "max-data",
	  SIZE(max_data),
	  .min = 128 << 10,
	  .max = 1 << 20,
	  .standard = "512K",
	  .value = "SIZE",
	  .help = "bytes of one WRITE, and of one READ up to 256K" },
	{ .name = "no-hugepages",
	  FLAG(small_pages),
	  .help = "use single pages, 4 KiB mostly, for that memory" },
	{ .name = "no-async-dio",
	  FLAG(relay.sync_dio),
	  .help = "direct I/O of a program waits in its own thread: slower, and no user can hold "
		  "up others by the memory that is read into" },
	{ .name = "init-timeout",
	  NUMBER(relay.init_timeout_ms),
	  .min = 1,
	  .max = 3600,
	  .scale = 1000,
	  .standard = "30",
	  .value = "S",
	  .help = "seconds to wait for the device to answer FUSE_INIT" },
	{ .name = "timeout",
	  NUMBER(relay.timeout_ms),
	  .max = 86400,
	  .scale = 1000,
	  .standard = "0",
	  .value = "S",
	  .help = "fail the session when a request has had no answer for so many seconds; 0 waits "
		  "for ever. Blocking file locks don't count" },
	{ .name = "on-loss",
	  CHOICE(enum viofs_on_loss, on_loss,
		 [VIOFS_ON_LOSS_EIO] = { "eio",
					 "a device that is gone: requests fail with EIO until "
					 "umount" },
		 [VIOFS_ON_LOSS_WAIT] = { "wait",
					  "vhost-user: requests wait until the back end is there "
					  "again. Needs one that offers INFLIGHT_SHMFD, and "
					  "backend-keeps-state; else on-loss=eio is used" }) },
	{ .name = "backend-keeps-state",
	  FLAG(keeps_state),
	  .help = "you assert that the back end, started anew, still knows inodes and open files" },
	{ .name = "queues",
	  NUMBER(queues),
	  .min = 1,
	  .max = VIOFS_FS_QUEUES_MAX - VIOFS_FS_REQUEST,
	  .standard = "what the back end says, or 1",
	  .value = "N",
	  .help = "vhost-user: request queues to use" },
	{ .name = "ring",
	  CHOICE(enum viofs_ring_choice, ring,
		 [VIOFS_ATTACH_RING_AUTO] = { "auto",
					      "packed virtqueues where the device offers them" },
		 [VIOFS_ATTACH_RING_ONLY_SPLIT] = { "split", "split virtqueues only" },
		 [VIOFS_ATTACH_RING_ONLY_PACKED] = { "packed", "packed virtqueues only" }) },
	{ .name = "notify",
	  CHOICE(enum viofs_notify_mode, notify,
		 [VIOFS_NOTIFY_ON] = { "on",
				       "let the device say what has changed on its side, where it "
				       "can" },
		 [VIOFS_NOTIFY_OFF] = { "off", "take no notifications" },
		 [VIOFS_NOTIFY_STORE] = { "store",
					  "as on, and the device may put data into the page "
					  "cache" }) },
	{ .name = "grace",
	  NUMBER(grace_s),
	  .max = 86400,
	  .standard = "10",
	  .value = "S",
	  .help = "seconds that a busy mount is waited for on SIGTERM" },
	{ .name = "restarts",
	  NUMBER(restarts),
	  .max = VIOFS_RESTARTS_MAX,
	  .standard = "4",
	  .value = "N",
	  .help = "a worker process that dies is succeeded by another, which goes on with all "
		  "requests, up to N times in 60 seconds; with the next death the session has "
		  "failed" },
	{ .name = "allow-unsafe-noiommu",
	  FLAG(allow_noiommu),
	  .help = "use VFIO where there is no IOMMU: the device can then reach all memory of this "
		  "machine" },
	{ .name = "seccomp",
	  .alias = "--seccomp",
	  CHOICE(enum viofs_seccomp, seccomp,
		 [VIOFS_SECCOMP_KILL] = { "kill",
					  "the worker is killed for a system call that it has no "
					  "use for" },
		 [VIOFS_SECCOMP_LOG] = { "log", "the kernel logs such calls" },
		 [VIOFS_SECCOMP_NONE] = { "none", "no filter" }) },
};

size_t viofs_option_table(const struct viofs_option **out)
{
	*out = table;
	return VIOFS_ARRAY_SIZE(table);
}

/* Return: is @word the option @name, with a value if it needs one? */
static bool spells(const char *word, const char *name, bool has_value)
{
	size_t len = name ? strlen(name) : 0;

	return len && !strncmp(word, name, len) && word[len] == (has_value ? '=' : '\0');
}

const struct viofs_option *viofs_option_find(const char *word, const char **value)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(table); i++) {
		bool has_value = table[i].kind != VIOFS_OPTION_FLAG;

		if (!spells(word, table[i].name, has_value) &&
		    !spells(word, table[i].alias, has_value))
			continue;
		*value = has_value ? strchr(word, '=') + 1 : NULL;
		return &table[i];
	}
	return NULL;
}

/* "64M" with @suffixes, "64" without. Return: 0 or -EINVAL. */
static int read_number(const char *text, bool suffixes, uint64_t *value)
{
	static const char units[] = "KMG";
	char *end;
	uint64_t v;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (suffixes && *end) {
		char upper[2] = { (char)(*end & ~0x20), 0 };
		const char *unit = strchr(units, upper[0]);
		unsigned int shift;

		if (!unit)
			return -EINVAL;
		shift = 10 * (unsigned int)(unit - units + 1);
		if (v > UINT64_MAX >> shift)
			return -EINVAL;
		v <<= shift;
		end++;
	}
	if (*end)
		return -EINVAL;
	*value = v;
	return 0;
}

const char *viofs_option_size(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = { "", "K", "M", "G" };
	size_t unit = 0;

	for (; bytes && bytes % 1024 == 0 && unit + 1 < VIOFS_ARRAY_SIZE(units); unit++)
		bytes /= 1024;
	snprintf(buf, size, "%llu%s", (unsigned long long)bytes, units[unit]);
	return buf;
}

static int set_number(const struct viofs_option *option, const char *text, void *field,
		      struct viofs_err *err)
{
	uint64_t v;

	if (read_number(text, false, &v) || v < option->min || v > option->max)
		return viofs_err_set(err, -EINVAL,
				     "-o %s=%s: a number from %llu to %llu is needed.",
				     option->name, text, (unsigned long long)option->min,
				     (unsigned long long)option->max);
	*(uint32_t *)field = (uint32_t)v * (option->scale ? option->scale : 1);
	return 0;
}

static int set_size(const struct viofs_option *option, const char *text, void *field,
		    struct viofs_err *err)
{
	char min[24], max[24];
	uint64_t v;

	if (!read_number(text, true, &v) && v >= option->min &&
	    (!option->max || v <= option->max)) {
		*(uint64_t *)field = v;
		return 0;
	}
	if (!option->max)
		return viofs_err_set(err, -EINVAL, "-o %s=%s: a size is needed, such as 64M.",
				     option->name, text);
	return viofs_err_set(err, -EINVAL, "-o %s=%s: a size from %s to %s is needed, such as %s.",
			     option->name, text, viofs_option_size(option->min, min, sizeof(min)),
			     viofs_option_size(option->max, max, sizeof(max)), option->standard);
}

/* "adaptive, busy or irq" */
static const char *list_words(const struct viofs_option_word *words, char *buf, size_t size)
{
	size_t len = 0;

	for (const struct viofs_option_word *w = words; w->name && len < size; w++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s",
					w == words  ? ""
					: w[1].name ? ", "
						    : " or ",
					w->name);
	return buf;
}

static int set_choice(const struct viofs_option *option, const char *text, void *field,
		      struct viofs_err *err)
{
	char words[64];

	for (unsigned int i = 0; option->words[i].name; i++) {
		if (strcmp(text, option->words[i].name) != 0)
			continue;
		memcpy(field, &i, sizeof(i));
		return 0;
	}
	return viofs_err_set(err, -EINVAL, "-o %s=%s: %s is needed.", option->name, text,
			     list_words(option->words, words, sizeof(words)));
}

/* One number of a list, and where it ends. Return: false: there is none, or no such CPU. */
static bool read_cpu(const char **at, unsigned long *cpu)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*cpu = strtoul(*at, &end, 10);
	*at = end;
	return !errno && *cpu < CPU_SETSIZE;
}

/* "0:2-3". Commas part options already; libfuse lets them through behind a backslash. */
static bool read_cpus(const char *at, cpu_set_t *set)
{
	CPU_ZERO(set);
	do {
		unsigned long first, last;

		if (!read_cpu(&at, &first))
			return false;
		last = first;
		if (*at == '-' && (at++, !read_cpu(&at, &last) || last < first))
			return false;
		for (; first <= last; first++)
			CPU_SET(first, set);
	} while ((*at == ':' || *at == ',') && at++);
	return !*at;
}

static int set_cpus(const struct viofs_option *option, const char *text, void *field,
		    struct viofs_err *err)
{
	cpu_set_t set;

	if (!read_cpus(text, &set))
		return viofs_err_set(err, -EINVAL,
				     "-o %s=%s: numbers and ranges of CPUs are needed, with colons "
				     "between them, such as 1 or 0:2-3.",
				     option->name, text);
	*(cpu_set_t *)field = set;
	return 0;
}

static int set_flag(const struct viofs_option *option, const char *text, void *field,
		    struct viofs_err *err)
{
	*(bool *)field = true;
	return 0;
}

int viofs_option_set(const struct viofs_option *option, const char *value, struct viofs_options *o,
		     struct viofs_err *err)
{
	static int (*const set[])(const struct viofs_option *option, const char *text, void *field,
				  struct viofs_err *err) = {
		[VIOFS_OPTION_FLAG] = set_flag, [VIOFS_OPTION_NUMBER] = set_number,
		[VIOFS_OPTION_SIZE] = set_size, [VIOFS_OPTION_CHOICE] = set_choice,
		[VIOFS_OPTION_CPUS] = set_cpus,
	};

	return set[option->kind](option, value, (char *)o + option->offset, err);
}

const char *viofs_option_choice(const char *name, unsigned int chosen)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(table); i++)
		if (table[i].words && !strcmp(table[i].name, name))
			return table[i].words[chosen].name;
	assert(!"an option with words");
	return NULL;
}

/* @left, and @text beside it, in lines of HELP_WIDTH. */
static void print_entry(FILE *out, const char *left, const char *text)
{
	int column = fprintf(out, "  %-*s", HELP_COLUMN - 2, left);

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH)
			column = fprintf(out, "\n%*s", HELP_COLUMN, "") - 1;
		column += fprintf(out, "%s%.*s", column > HELP_COLUMN ? " " : "", len, text);
		text += (size_t)len + (text[len] == ' ');
	}
	fputc('\n', out);
}

static void print_words(FILE *out, const struct viofs_option *option)
{
	for (const struct viofs_option_word *w = option->words; w->name; w++) {
		char left[48], text[256];

		snprintf(left, sizeof(left), "%s=%s", option->name, w->name);
		snprintf(text, sizeof(text), "%s%s", w->help,
			 w == option->words ? " (default)" : "");
		print_entry(out, left, text);
	}
}

/* The value's bounds and the default, as " (1 to 64; default: 1)". */
static const char *notes(const struct viofs_option *option, char *buf, size_t size)
{
	bool sizes = option->kind == VIOFS_OPTION_SIZE;
	char min[24], max[24], bounds[64] = "";

	if (option->max && sizes)
		snprintf(bounds, sizeof(bounds), "%s to %s; ",
			 viofs_option_size(option->min, min, sizeof(min)),
			 viofs_option_size(option->max, max, sizeof(max)));
	else if (option->max)
		snprintf(bounds, sizeof(bounds), "%llu to %llu; ", (unsigned long long)option->min,
			 (unsigned long long)option->max);
	buf[0] = '\0';
	if (option->standard)
		snprintf(buf, size, " (%sdefault: %s)", bounds, option->standard);
	return buf;
}

static void print_option(FILE *out, const struct viofs_option *option)
{
	char left[48], text[320], more[128];

	if (option->words) {
		print_words(out, option);
		return;
	}
	snprintf(left, sizeof(left), "%s%s%s", option->name,
		 option->value   ? "="
		 : option->alias ? ", "
				 : "",
		 option->value   ? option->value
		 : option->alias ? option->alias
				 : "");
	snprintf(text, sizeof(text), "%s%s", option->help, notes(option, more, sizeof(more)));
	print_entry(out, left, text);
}

void viofs_option_print_help(FILE *out, bool switches)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(table); i++)
		if ((table[i].name[0] == '-') == switches)
			print_option(out, &table[i]);
}
