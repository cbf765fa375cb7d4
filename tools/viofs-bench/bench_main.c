/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofs-bench: the command line, the device, the file. */
#include "bench.h"
#include "base/standard.h"
#include "base/text.h"
#include "tools_config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define ROOT 1U
#define CHUNK (1U << 20)

static const char usage[] =
	"Usage: viofs-bench [OPTION]... SOURCE\n"
	"Sends requests straight to a virtio-fs device and measures how long they take.\n"
	"\n"
	"  -o, --op=KIND[=WEIGHT],...  getattr (default), lookup, statfs, read, write; a mix by "
	"weights, as in\n"
	"                            read=70,write=30. A device of nothing (viofs-device --serve "
	"null) answers all\n"
	"                            of them: that is the null-request rate\n"
	"  -b, --bs=BYTES            of a read or write (4k)\n"
	"  -d, --depth=N             requests of a thread in flight (1)\n"
	"  -B, --batch=N             wait for so many, send so many at once (1)\n"
	"  -j, --threads=N           each with a queue handle (1)\n"
	"  -t, --time=SECONDS        (3)\n"
	"  -n, --requests=N          of each thread, instead of a time\n"
	"  -f, --file=PATH           what is read, written, looked up (for getattr: the root)\n"
	"  -s, --size=BYTES          of the file, as far as it is used (its own; with --prepare "
	"64m)\n"
	"  -p, --prepare             make the file, or fill it up to --size\n"
	"  -S, --sequential          block after block (by chance)\n"
	"      --spin=US             poll so long before sleeping (always); 0 = never\n"
	"      --queues=N            request queues, with vhost-user (the back end's)\n"
	"      --small-pages         use no hugepages\n"
	"      --unsafe-noiommu      with no IOMMU: the device can reach all memory of the "
	"machine\n"
	"      --name=TEXT           how the row is called (the op)\n"
	"      --histogram           times, how often each\n"
	"      --json                a row for programs\n"
	"\n"
	"SOURCE is a tag, tag:NAME, a PCI address such as 0000:00:04.0, or vhost-user:PATH. "
	"Numbers may end in k, m, g.\n";

enum long_only { SPIN = 256, QUEUES, SMALL_PAGES, NOIOMMU, NAME, HISTOGRAM, JSON, HELP, VERSION };

static const struct option options[] = {
	{ "op", required_argument, NULL, 'o' },
	{ "bs", required_argument, NULL, 'b' },
	{ "depth", required_argument, NULL, 'd' },
	{ "batch", required_argument, NULL, 'B' },
	{ "threads", required_argument, NULL, 'j' },
	{ "time", required_argument, NULL, 't' },
	{ "requests", required_argument, NULL, 'n' },
	{ "file", required_argument, NULL, 'f' },
	{ "size", required_argument, NULL, 's' },
	{ "prepare", no_argument, NULL, 'p' },
	{ "sequential", no_argument, NULL, 'S' },
	{ "spin", required_argument, NULL, SPIN },
	{ "queues", required_argument, NULL, QUEUES },
	{ "small-pages", no_argument, NULL, SMALL_PAGES },
	{ "unsafe-noiommu", no_argument, NULL, NOIOMMU },
	{ "name", required_argument, NULL, NAME },
	{ "histogram", no_argument, NULL, HISTOGRAM },
	{ "json", no_argument, NULL, JSON },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

static int complain(const char *what, const char *text)
{
	char clean[1024];

	fprintf(stderr, "viofs-bench: %s%s%s. See viofs-bench --help.\n", what, text ? ": " : "",
		text ? viofs_text_clean(VIOFS_TEXT_MESSAGE, text, clean, sizeof(clean)) : "");
	return EXIT_USAGE;
}

/* 4k, 1m. Return: false: that was said. */
static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	static const char units[] = "kmg";
	char *end;
	unsigned long long value;
	const char *unit;

	errno = 0;
	value = strtoull(text, &end, 10);
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	if (unit) {
		value <<= 10 * (unit - units + 1);
		end++;
	}
	if (errno || end == text || *end || text[0] == '-' || value < min || value > max) {
		complain("not a number that fits", text);
		return false;
	}
	*out = value;
	return true;
}

static int take_mix(struct viofs_bench_job *job, char *text)
{
	char *save;

	memset(job->weight, 0, sizeof(job->weight));
	job->weights = 0;
	for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		size_t len = strcspn(word, "=");
		unsigned int kind = 0;
		uint64_t weight = 1;

		while (kind < VIOFS_BENCH_KINDS &&
		       (strlen(viofs_bench_kind_names[kind]) != len ||
			strncmp(viofs_bench_kind_names[kind], word, len) != 0))
			kind++;
		if (kind == VIOFS_BENCH_KINDS)
			return complain("no such op", word);
		if (word[len] && !number(word + len + 1, 1, 1000000, &weight))
			return EXIT_USAGE;
		job->weight[kind] += (unsigned int)weight;
		job->weights += (unsigned int)weight;
	}
	return job->weights ? 0 : complain("--op is empty", NULL);
}

/* One option with a number in it. */
static int take_number(struct viofs_bench_job *job, int letter, const char *text)
{
	uint64_t n = 0;

	switch (letter) {
	case 'b':
		return number(text, 1, 16 << 20, &n) ? job->block = (uint32_t)n, 0 : EXIT_USAGE;
	case 'd':
		return number(text, 1, 1024, &n) ? job->depth = (unsigned int)n, 0 : EXIT_USAGE;
	case 'B':
		return number(text, 1, 1024, &n) ? job->batch = (unsigned int)n, 0 : EXIT_USAGE;
	case 'j':
		return number(text, 1, 1024, &n) ? job->threads = (unsigned int)n, 0 : EXIT_USAGE;
	case 'n':
		return number(text, 1, UINT64_MAX / 2, &n) ? job->requests = n, 0 : EXIT_USAGE;
	case 's':
		return number(text, 1, INT64_MAX, &n) ? job->size = n, 0 : EXIT_USAGE;
	case SPIN:
		return number(text, 0, UINT32_MAX, &n) ? job->spin_us = (uint32_t)n, 0 : EXIT_USAGE;
	default: /* QUEUES */
		return number(text, 0, 1024, &n) ? job->queues = (uint32_t)n, 0 : EXIT_USAGE;
	}
}

static int take(struct viofs_bench_job *job, int letter, char *text)
{
	static char empty[1];

	if (!text)
		text = empty; /* of an option that has none */
	switch (letter) {
	case 'o':
		snprintf(job->op, sizeof(job->op), "%s", text);
		return take_mix(job, text);
	case 't':
		job->seconds = atof(text);
		return job->seconds > 0 ? 0 : complain("--time is above zero", text);
	case 'f':
		job->path = text;
		return 0;
	case 'p':
		job->prepare = true;
		return 0;
	case 'S':
		job->sequential = true;
		return 0;
	case SMALL_PAGES:
		job->small_pages = true;
		return 0;
	case NOIOMMU:
		job->noiommu = true;
		return 0;
	case NAME:
		job->name = text;
		return 0;
	case HISTOGRAM:
		job->histogram = true;
		return 0;
	case JSON:
		job->json = true;
		return 0;
	case HELP:
		fputs(usage, stdout);
		exit(0);
	case VERSION:
		puts("viofs-bench " VIOFS_VERSION);
		exit(0);
	case '?':
		return complain("no such option, or its argument is missing", NULL);
	default:
		return take_number(job, letter, text);
	}
}

static int parse(struct viofs_bench_job *job, int argc, char **argv)
{
	bool io;
	int letter, rc = 0;

	*job = (struct viofs_bench_job){ .block = 4096,
					 .depth = 1,
					 .batch = 1,
					 .threads = 1,
					 .seconds = 3,
					 .spin_us = UINT32_MAX,
					 .weight = { 1 },
					 .weights = 1,
					 .op = "getattr" };
	opterr = 0;
	while (!rc &&
	       (letter = getopt_long(argc, argv, "o:b:d:B:j:t:n:f:s:pS", options, NULL)) != -1)
		rc = take(job, letter, optarg);
	if (rc)
		return rc;
	io = job->weight[VIOFS_BENCH_READ] || job->weight[VIOFS_BENCH_WRITE];
	if (argc - optind != 1)
		return complain(argc == optind ? "SOURCE is missing" : "more than one SOURCE",
				NULL);
	if ((io || job->prepare || job->weight[VIOFS_BENCH_LOOKUP]) && !job->path)
		return complain("--file is missing", NULL);
	if (job->weight[VIOFS_BENCH_LOOKUP] && strchr(job->path + (job->path[0] == '/'), '/'))
		return complain("lookup: --file is a name in the root", job->path);
	job->source = argv[optind];
	job->name = job->name ? job->name : job->op;
	return 0;
}

/* Fills the file up to its size. Return: 0, or a negative errno with @err. */
static int fill(const struct viofs_bench_job *job, struct viofs_file *file, struct viofs_err *err)
{
	uint8_t *data = malloc(CHUNK);
	int64_t rc = data ? 0 : -ENOMEM;

	if (data)
		memset(data, 'p', CHUNK);
	for (uint64_t at = 0; rc >= 0 && at < job->size; at += CHUNK)
		rc = viofs_file_pwrite(file, data,
				       job->size - at < CHUNK ? (size_t)(job->size - at) : CHUNK,
				       at, err);
	free(data);
	return rc < 0 ? (int)rc : 0;
}

/* Its size, filled up where that is asked for. */
static int settle_size(struct viofs_bench_job *job, struct viofs_file *file, struct viofs_err *err)
{
	bool io = job->weight[VIOFS_BENCH_READ] || job->weight[VIOFS_BENCH_WRITE];
	struct stat st;
	int rc = viofs_file_stat(file, &st, err);

	if (rc)
		return rc;
	if (job->prepare && !job->size)
		job->size = 64 << 20;
	if (job->prepare && (uint64_t)st.st_size < job->size)
		rc = fill(job, file, err);
	else if (!job->size || (uint64_t)st.st_size < job->size)
		job->size = (uint64_t)st.st_size;
	if (!rc && io && job->size < job->block) {
		snprintf(err->text, sizeof(err->text),
			 "%s has %llu bytes, less than a block: --prepare --size=64m fills it.",
			 job->path, (unsigned long long)job->size);
		rc = -EINVAL;
	}
	return rc;
}

/*
 * The requests are ours, the file is the library's: what the device calls it is asked for by single
 * requests, beside the session. Return: 0, or a negative errno with @err.
 */
static int find(const struct viofs_bench_job *job, struct viofs_bench_target *target,
		struct viofs_err *err)
{
	bool io = job->weight[VIOFS_BENCH_READ] || job->weight[VIOFS_BENCH_WRITE];
	int rc;

	target->nodeid = ROOT;
	target->name = job->path ? job->path + (job->path[0] == '/') : NULL;
	if (!job->path || (!io && !job->weight[VIOFS_BENCH_GETATTR]))
		return 0;
	rc = viofs_bench_look_up(target->dev, job->path, &target->nodeid, err);
	if (!rc && io)
		rc = viofs_bench_open(target->dev, target->nodeid, &target->fh, err);
	target->has_file = !rc && io;
	return rc;
}

static int measure(struct viofs_bench_job *job, struct viofs_session *session,
		   struct viofs_err *err)
{
	struct viofs_bench_target target = { .dev = viofs_session_dev(session) };
	struct viofs_dev_stats before = { .size = sizeof(before) },
			       after = { .size = sizeof(after) };
	static struct viofs_bench_result result;
	struct viofs_file *file = NULL;
	int rc = 0;

	if (job->path) {
		rc = viofs_file_open(session, job->path, 0,
				     job->prepare ? O_RDWR | O_CREAT : O_RDONLY, 0644, &file, err);
		if (!rc)
			rc = settle_size(job, file, err);
		viofs_file_close(file, NULL);
	}
	if (!rc)
		rc = find(job, &target, err);
	if (rc)
		return rc;
	viofs_dev_stats_get(target.dev, &before);
	rc = viofs_bench_run(job, &target, &result);
	viofs_dev_stats_get(target.dev, &after);
	if (rc) {
		err->text[0] = '\0';
		return rc;
	}
	viofs_bench_give_back(&target);
	after.kicks -= before.kicks;
	after.sleeps -= before.sleeps;
	after.requests -= before.requests;
	if (job->json)
		viofs_bench_print_json(job, &result, &after);
	else
		viofs_bench_print(job, &result, &after);
	return result.errors ? -EIO : 0;
}

static void on_signal(int number)
{
	viofs_bench_stop();
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND },
			 before;

	/* Signals that the starter ignores stay ignored: by nohup(1), or a script's `&`. */
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!sigaction(numbers[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	/* Give the device back even if nobody reads what is printed. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* What would help, in the words of our switches. */
static const char *switch_for(unsigned int remedy)
{
	switch (remedy) {
	case VIOFS_REMEDY_ALLOW_NOIOMMU:
		return " If you trust it, say --unsafe-noiommu.";
	case VIOFS_REMEDY_FEWER_QUEUES:
		return " --queues asks for fewer.";
	case VIOFS_REMEDY_LESS_MEMORY:
		return " A smaller --depth or --block needs less.";
	default:
		return "";
	}
}

static int with_device(struct viofs_bench_job *job)
{
	bool io = job->weight[VIOFS_BENCH_READ] || job->weight[VIOFS_BENCH_WRITE];
	struct viofs_session *session = NULL;
	struct viofs_dev_options o;
	struct viofs_dev *dev;
	struct viofs_err err = { .text = "" };
	int rc;

	catch_signals();
	viofs_dev_options_init(&o, sizeof(o));
	o.flags = VIOFS_DEV_BIND | (job->small_pages ? VIOFS_DEV_SMALL_PAGES : 0) |
		  (job->noiommu ? VIOFS_DEV_UNSAFE_NOIOMMU : 0);
	o.spin_us = job->spin_us;
	o.queues = job->queues;
	o.timeout_ms = 60000;
	if (job->depth * job->threads > o.depth)
		o.depth = job->depth * job->threads > 1024 ? 1024 : job->depth * job->threads;
	if (job->block > o.max_data)
		o.max_data = job->block;
	o.dma_size +=
		io ? (size_t)job->threads * (((size_t)job->block * job->depth + 4095) / 4096 * 4096)
		   : 0;
	rc = viofs_dev_open(job->source, &o, &dev, &err);
	if (!rc) {
		rc = viofs_session_open(dev, NULL, &session, &err);
		if (!rc)
			rc = measure(job, session, &err);
		viofs_session_close(session);
		if (rc && err.text[0])
			fprintf(stderr, "viofs-bench: %s\n", err.text);
		if (viofs_dev_close(dev, &err)) {
			fprintf(stderr, "viofs-bench: %s\n", err.text);
			return 1;
		}
	} else {
		/* Name the switch in place of the library's field. */
		fprintf(stderr, "viofs-bench: %.*s%s\n", (int)err.fact, err.text,
			switch_for(err.remedy));
	}
	return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct viofs_bench_job job;
	int status;

	if (viofs_standard_open())
		return 1;
	status = parse(&job, argc, argv);
	return status ? status : with_device(&job);
}
