/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's command line.
 *
 * libfuse splits and unescapes it. Its number conversions take trailing rubbish, so values come as
 * text and are read here, by a table of limits.
 */
#define FUSE_USE_VERSION 314
#include "daemon/options.h"
#include "base/util.h"
#include "attach/source.h"

#include <errno.h>
#include <fuse_opt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1ULL << 20)
/* Data areas: enough for a few requests at least, and no more than indices allow. */
#define BUFFERS_MIN 4U

/* The raw command line: as libfuse fills it in. */
struct raw {
	struct viofs_options *o;
	struct viofs_err *err;
	int rc;
	int foreground, debug, help, version, allow_noiommu, small_pages, keeps_state;
	char *poll, *channel, *workers, *cpus, *spin, *dma_mem, *init_timeout, *grace, *max_data,
		*queues, *timeout, *on_loss;
	char *seccomp, *ring, *notify;
	char own[32]; /* the first of own_words, refused unless it is a remount */
};

#define FLAG(text, field)                                                                          \
	{                                                                                          \
		text, offsetof(struct raw, field), 1                                               \
	}
#define VALUE(text, field)                                                                         \
	{                                                                                          \
		text "=%s", offsetof(struct raw, field), 0                                         \
	}

static const struct fuse_opt templates[] = {
	FLAG("-f", foreground),
	FLAG("--foreground", foreground),
	FLAG("-d", debug),
	FLAG("--debug", debug),
	FLAG("-h", help),
	FLAG("--help", help),
	FLAG("-V", version),
	FLAG("--version", version),
	FLAG("allow-unsafe-noiommu", allow_noiommu),
	FLAG("no-hugepages", small_pages),
	FLAG("backend-keeps-state", keeps_state),
	VALUE("poll", poll),
	VALUE("channel", channel),
	VALUE("workers", workers),
	VALUE("cpus", cpus),
	VALUE("spin", spin),
	VALUE("dma-mem", dma_mem),
	VALUE("max-data", max_data),
	VALUE("init-timeout", init_timeout),
	VALUE("grace", grace),
	VALUE("timeout", timeout),
	VALUE("on-loss", on_loss),
	VALUE("queues", queues),
	VALUE("ring", ring),
	VALUE("notify", notify),
	VALUE("seccomp", seccomp),
	VALUE("--seccomp", seccomp),
	FUSE_OPT_END,
};

/* For mount(8), systemd and fstab readers: nothing of the mount's. A trailing '*' means any ending.
 */
static const char *const fstab_words[] = {
	"defaults",
	"auto",
	"noauto",
	"nouser",
	"nousers",
	"noowner",
	"nogroup",
	"nofail",
	"fail",
	"_netdev",
	"_rnetdev",
	"bootwait",
	"nobootwait",
	"comment=*",
	"x-*",
	"X-*",
	/* What a mount of ours always has. */
	"allow_other",
	"default_permissions",
};

/* Set by the daemon; another value would break the mount. */
static const char *const own_words[] = {
	"fsname=*",   "subtype=*", "fd=*",      "rootmode=*",   "user_id=*",  "group_id=*",
	"max_read=*", "blkdev",    "blksize=*", "auto_unmount", "allow_root",
};

static bool is_word_of(const char *arg, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(words[i]);
		bool matches = words[i][len - 1] == '*' ? !strncmp(arg, words[i], len - 1)
							: !strcmp(arg, words[i]);

		if (matches)
			return true;
	}
	return false;
}

static int refuse(struct raw *raw, const char *fmt, const char *arg)
{
	raw->rc = -EINVAL;
	viofs_err_set(raw->err, raw->rc, "%s \"%s\". See virtiofs-vfio --help.", fmt, arg);
	return -1;
}

/* A word that is no option of ours. Return: libfuse's 0 = dropped here, -1 = stop. */
static int take_word(void *data, const char *arg, int key, struct fuse_args *outargs)
{
	struct raw *raw = data;
	char **where = !raw->o->source ? &raw->o->source : &raw->o->mountpoint;

	if (key == FUSE_OPT_KEY_NONOPT) {
		if (*where)
			return refuse(raw, "There is an argument too many,", arg);
		*where = strdup(arg);
		raw->rc = *where ? 0 : viofs_err_set(raw->err, -ENOMEM, "Out of memory.");
		return raw->rc ? -1 : 0;
	}
	if (arg[0] == '-')
		return refuse(raw, "There is no option", arg);
	if (is_word_of(arg, fstab_words, VIOFS_ARRAY_SIZE(fstab_words)))
		return 0;
	if (!strcmp(arg, "remount")) {
		raw->o->remount = true;
		return 0;
	}
	/* mount(8) says them to remount, as it found them. */
	if (is_word_of(arg, own_words, VIOFS_ARRAY_SIZE(own_words))) {
		if (!raw->own[0])
			snprintf(raw->own, sizeof(raw->own), "%s", arg);
		return 0;
	}
	raw->rc = viofs_mount_options_add(&raw->o->mount, arg, raw->err);
	if (raw->rc == -ENOENT)
		return refuse(raw, "There is no option", arg);
	return raw->rc ? -1 : 0;
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

static int take_number(const char *name, const char *text, bool size, uint64_t min, uint64_t max,
		       uint64_t *value, struct viofs_err *err)
{
	uint64_t v;

	if (!text)
		return 0;
	if (!read_number(text, size, &v) && v >= min && v <= max) {
		*value = v;
		return 0;
	}
	if (size)
		return viofs_err_set(err, -EINVAL,
				     "-o %s=%s: a size from %lluK to %lluK is needed, "
				     "such as 64M.",
				     name, text, (unsigned long long)min >> 10,
				     (unsigned long long)max >> 10);
	return viofs_err_set(err, -EINVAL, "-o %s=%s: a number from %llu to %llu is needed.", name,
			     text, (unsigned long long)min, (unsigned long long)max);
}

static int take_u32(const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *out,
		    struct viofs_err *err)
{
	uint64_t value = *out;
	int rc = take_number(name, text, false, min, max, &value, err);

	*out = (uint32_t)value;
	return rc;
}

static const char *const poll_names[] = {
	[VIOFS_POLL_ADAPTIVE] = "adaptive",
	[VIOFS_POLL_BUSY] = "busy",
	[VIOFS_POLL_IRQ] = "irq",
};

const char *viofs_poll_name(enum viofs_poll poll)
{
	return poll_names[poll];
}

static int take_poll(const char *text, enum viofs_poll *poll, struct viofs_err *err)
{
	if (!text)
		return 0;
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(poll_names); i++) {
		if (!strcmp(text, poll_names[i])) {
			*poll = (enum viofs_poll)i;
			return 0;
		}
	}
	return viofs_err_set(err, -EINVAL, "-o poll=%s: adaptive, busy or irq is needed.", text);
}

static int take_channel(const char *text, enum viofs_channel *channel, struct viofs_err *err)
{
	for (int i = 0; text && i <= VIOFS_CHANNEL_DEV; i++) {
		if (!strcmp(text, viofs_channel_name((enum viofs_channel)i))) {
			*channel = (enum viofs_channel)i;
			return 0;
		}
	}
	return text ? viofs_err_set(err, -EINVAL, "-o channel=%s: auto, uring or dev is needed.",
				    text)
		    : 0;
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

/* "0:2-3": commas are between options already; libfuse takes them with a backslash before. */
static int take_cpus(const char *text, cpu_set_t *cpus, struct viofs_err *err)
{
	const char *at = text;
	cpu_set_t set;

	if (!text)
		return 0;
	CPU_ZERO(&set);
	do {
		unsigned long first, last;

		if (!read_cpu(&at, &first))
			goto err_refuse;
		last = first;
		if (*at == '-' && (at++, !read_cpu(&at, &last) || last < first))
			goto err_refuse;
		for (; first <= last; first++)
			CPU_SET(first, &set);
	} while ((*at == ':' || *at == ',') && at++);
	if (*at)
		goto err_refuse;
	*cpus = set;
	return 0;

err_refuse:
	return viofs_err_set(
		err, -EINVAL,
		"-o cpus=%s: numbers and ranges of CPUs are needed, with colons between "
		"them, such as 1 or 0:2-3.",
		text);
}

static int take_ring(const char *text, enum viofs_ring_choice *ring, struct viofs_err *err)
{
	static const char *const names[] = {
		[VIOFS_RING_AUTO] = "auto",
		[VIOFS_RING_ONLY_SPLIT] = "split",
		[VIOFS_RING_ONLY_PACKED] = "packed",
	};

	if (!text)
		return 0;
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(names); i++) {
		if (!strcmp(text, names[i])) {
			*ring = (enum viofs_ring_choice)i;
			return 0;
		}
	}
	return viofs_err_set(err, -EINVAL, "-o ring=%s: auto, split or packed is needed.", text);
}

static int take_notify(const char *text, struct viofs_options *o, struct viofs_err *err)
{
	if (!text)
		return 0;
	o->no_notify = !strcmp(text, "off");
	o->relay.notify_store = !strcmp(text, "store");
	if (o->no_notify || o->relay.notify_store || !strcmp(text, "on"))
		return 0;
	return viofs_err_set(err, -EINVAL, "-o notify=%s: on, off or store is needed.", text);
}

static int take_on_loss(const struct raw *raw, struct viofs_options *o)
{
	if (raw->on_loss && strcmp(raw->on_loss, "eio") != 0 && strcmp(raw->on_loss, "wait") != 0)
		return viofs_err_set(raw->err, -EINVAL, "-o on-loss=%s: eio or wait is needed.",
				     raw->on_loss);
	o->wait_on_loss = raw->on_loss && !strcmp(raw->on_loss, "wait");
	o->keeps_state = raw->keeps_state;
	if (o->keeps_state && !o->wait_on_loss)
		return viofs_err_set(raw->err, -EINVAL,
				     "-o backend-keeps-state goes with on-loss=wait: "
				     "nothing else depends on it.");
	if (o->wait_on_loss && o->ring == VIOFS_RING_ONLY_PACKED)
		return viofs_err_set(raw->err, -EINVAL,
				     "-o on-loss=wait goes with split rings: back ends "
				     "track what is in flight for those. Leave ring=packed out.");
	return 0;
}

static int take_seccomp(const char *text, enum viofs_seccomp *seccomp, struct viofs_err *err)
{
	if (!text)
		return 0;
	for (int i = 0; i <= VIOFS_SECCOMP_NONE; i++) {
		if (strcmp(text, viofs_seccomp_name((enum viofs_seccomp)i)) != 0)
			continue;
		if (i < (int)viofs_sandbox_seccomp_default())
			return viofs_err_set(err, -EINVAL,
					     "-o seccomp=%s: this program was built without "
					     "libseccomp, so there is only none.",
					     text);
		*seccomp = (enum viofs_seccomp)i;
		return 0;
	}
	return viofs_err_set(err, -EINVAL, "-o seccomp=%s: kill, log or none is needed.", text);
}

/* How many data areas the memory holds beside the slots. */
static int take_memory(const struct raw *raw, struct viofs_relay_config *c)
{
	struct viofs_relay_config none = *c;
	uint64_t data = c->max_data, memory = 0, slots, min;
	int rc;

	rc = take_number("max-data", raw->max_data, true, 128 << 10, MIB, &data, raw->err);
	if (!rc && data % 4096)
		rc = viofs_err_set(raw->err, -EINVAL, "-o max-data=%s: a multiple of 4K is needed.",
				   raw->max_data);
	if (rc)
		return rc;
	/* By default as much memory, whatever a piece of it is. */
	c->buffers = (uint32_t)((uint64_t)c->buffers * c->max_data / data);
	c->max_data = (uint32_t)data;
	if (!raw->dma_mem)
		return 0;
	none.buffers = 0;
	slots = viofs_relay_memory(&none);
	min = slots + BUFFERS_MIN * data;
	rc = take_number("dma-mem", raw->dma_mem, true, min, slots + VIOFS_RELAY_BUFFERS_MAX * data,
			 &memory, raw->err);
	if (!rc)
		c->buffers = (uint32_t)((memory - slots) / data);
	return rc;
}

static int take_values(const struct raw *raw, struct viofs_options *o)
{
	struct viofs_relay_config *c = &o->relay;
	uint32_t init_s = c->init_timeout_ms / 1000, timeout_s = c->timeout_ms / 1000;
	int rc;

	o->foreground = raw->foreground || raw->debug;
	o->debug = raw->debug;
	o->help = raw->help;
	o->version = raw->version;
	o->allow_noiommu = raw->allow_noiommu;
	o->small_pages = raw->small_pages;
	rc = take_poll(raw->poll, &c->poll, raw->err);
	if (!rc)
		rc = take_channel(raw->channel, &c->channel, raw->err);
	if (!rc)
		rc = take_u32("workers", raw->workers, 1, VIOFS_LANES_MAX, &c->lanes, raw->err);
	if (!rc)
		rc = take_cpus(raw->cpus, &o->cpus, raw->err);
	if (!rc)
		rc = take_seccomp(raw->seccomp, &o->seccomp, raw->err);
	if (!rc)
		rc = take_u32("spin", raw->spin, 0, 1000000, &c->spin_us, raw->err);
	if (!rc)
		rc = take_u32("init-timeout", raw->init_timeout, 1, 3600, &init_s, raw->err);
	if (!rc)
		rc = take_u32("grace", raw->grace, 0, 86400, &o->grace_s, raw->err);
	if (!rc)
		rc = take_u32("timeout", raw->timeout, 0, 86400, &timeout_s, raw->err);
	if (!rc)
		rc = take_ring(raw->ring, &o->ring, raw->err);
	if (!rc)
		rc = take_notify(raw->notify, o, raw->err);
	if (!rc)
		rc = take_on_loss(raw, o);
	if (!rc)
		rc = take_u32("queues", raw->queues, 1, VIOFS_FS_QUEUES_MAX - VIOFS_FS_REQUEST,
			      &o->queues, raw->err);
	if (!rc)
		rc = take_memory(raw, c);
	c->init_timeout_ms = init_s * 1000;
	c->timeout_ms = timeout_s * 1000;
	c->pin_lanes = CPU_COUNT(&o->cpus);
	return rc;
}

/* Which of them are options of all mounts together: the daemon's, and labels. */
static int keep_word(void *data, const char *arg, int key, struct fuse_args *outargs)
{
	struct viofs_options *o = data;
	char **grown;

	if (key == FUSE_OPT_KEY_NONOPT || arg[0] == '-' ||
	    (!fuse_opt_match(templates, arg) && !strstr(arg, "context=")))
		return 0;
	grown = reallocarray(o->words, o->word_count + 1, sizeof(*grown));
	if (!grown)
		return -1;
	o->words = grown;
	grown[o->word_count] = strdup(arg);
	return grown[o->word_count++] ? 0 : -1;
}

static int keep_words(int argc, char **argv, struct viofs_options *o, struct viofs_err *err)
{
	static const struct fuse_opt none[] = { FUSE_OPT_END };
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	int rc = fuse_opt_parse(&args, o, none, keep_word);

	fuse_opt_free_args(&args);
	return rc ? viofs_err_set(err, -ENOMEM, "Out of memory.") : 0;
}

static int check_complete(const struct viofs_options *o, struct viofs_err *err)
{
	if (o->help || o->version)
		return 0;
	if (!o->source)
		return viofs_err_set(err, -EINVAL,
				     "SOURCE and MOUNTPOINT are missing. See virtiofs-vfio "
				     "--help; viofsctl list shows the devices.");
	if (!o->mountpoint)
		return viofs_err_set(err, -EINVAL,
				     "MOUNTPOINT is missing: virtiofs-vfio %s MOUNTPOINT.",
				     o->source);
	if (!*o->source)
		return viofs_err_set(err, -EINVAL,
				     "SOURCE is empty: a tag or a PCI address is needed.");
	return 0;
}

int viofs_options_parse(int argc, char **argv, struct viofs_options *o, struct viofs_err *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct raw raw = { .o = o, .err = err };
	int rc = 0;

	memset(o, 0, sizeof(*o));
	o->grace_s = 10;
	o->seccomp = viofs_sandbox_seccomp_default();
	viofs_relay_config_default(&o->relay);
	if (fuse_opt_parse(&args, &raw, templates, take_word))
		rc = raw.rc ? raw.rc
			    : viofs_err_set(err, -EINVAL,
					    "The command line can't be read: an "
					    "option lacks its value. See virtiofs-vfio --help.");
	if (!rc && raw.own[0] && !o->remount) {
		refuse(&raw, "The daemon sets this mount option itself:", raw.own);
		rc = raw.rc;
	}
	if (!rc)
		rc = take_values(&raw, o);
	if (!rc)
		rc = keep_words(argc, argv, o, err);
	if (!rc)
		rc = check_complete(o, err);
	fuse_opt_free_args(&args);
	free(raw.poll);
	free(raw.channel);
	free(raw.workers);
	free(raw.cpus);
	free(raw.spin);
	free(raw.dma_mem);
	free(raw.init_timeout);
	free(raw.grace);
	free(raw.max_data);
	free(raw.queues);
	free(raw.timeout);
	free(raw.on_loss);
	free(raw.seccomp);
	free(raw.ring);
	free(raw.notify);
	return rc;
}

int viofs_options_check(const struct viofs_options *o, struct viofs_err *err)
{
	size_t prefix = strlen(VIOFS_SOURCE_VHOST_PREFIX);
	bool socket = !strncmp(o->source, VIOFS_SOURCE_VHOST_PREFIX, prefix);
	cpu_set_t mine, both;

	if (socket && !o->source[prefix])
		return viofs_err_set(err, -EINVAL, "%s lacks the path of the back end's socket.",
				     o->source);
	if (o->queues && !socket)
		return viofs_err_set(err, -EINVAL,
				     "-o queues= goes with " VIOFS_SOURCE_VHOST_PREFIX
				     " only, a PCI device says itself how many queues it has.");
	if (!CPU_COUNT(&o->cpus) || sched_getaffinity(0, sizeof(mine), &mine) < 0)
		return 0;
	CPU_AND(&both, &mine, &o->cpus);
	if (CPU_COUNT(&both))
		return 0;
	return viofs_err_set(
		err, -EINVAL,
		"-o cpus=: none of these CPUs is there for this process; taskset -p $$ "
		"shows those that are.");
}

void viofs_options_fini(struct viofs_options *o)
{
	free(o->source);
	free(o->mountpoint);
	viofs_mount_options_fini(&o->mount);
	for (unsigned int i = 0; i < o->word_count; i++)
		free(o->words[i]);
	free(o->words);
	memset(o, 0, sizeof(*o));
}

const char *viofs_options_help(void)
{
	return "Usage: virtiofs-vfio [-f] [-d] [-o OPT,...] SOURCE MOUNTPOINT\n"
	       "\n"
	       "Mounts the directory that a virtio-fs device exports, driving the device from "
	       "this\n"
	       "process through VFIO, or through the socket of a vhost-user back end (virtiofsd).\n"
	       "\n"
	       "SOURCE is the device's tag, or its PCI address such as 0000:00:04.0. tag:NAME is a "
	       "tag\n"
	       "whatever it looks like. `viofsctl list` shows both. vhost-user:PATH is a back "
	       "end's socket:\n"
	       "no VM, no PCI device, no VFIO.\n"
	       "\n"
	       "  -f, --foreground   stay in the foreground, messages to standard error\n"
	       "  -d, --debug        the same, with debugging messages\n"
	       "  -h, --help         this text\n"
	       "  -V, --version      the version\n"
	       "\n"
	       "Options for -o, or for mount -t virtiofs-vfio and /etc/fstab:\n"
	       "  poll=adaptive      spin while there is work and a little after, then sleep "
	       "(default)\n"
	       "  poll=busy          never sleep: lowest latency, a CPU of its own\n"
	       "  poll=irq           never spin: least CPU\n"
	       "  workers=N          threads that serve, each a share of the request queues; no "
	       "more than the\n"
	       "                     device has of those (1; up to 64)\n"
	       "  cpus=LIST          run on these CPUs only, such as 1 or 0:2-3 (those that it may "
	       "use); with\n"
	       "                     several workers each has one of them, in turn\n"
	       "  channel=auto       how requests come from the kernel: the way that measured "
	       "faster (default)\n"
	       "  channel=uring      FUSE over io_uring (Linux 6.14; enable_uring=Y of the fuse "
	       "module)\n"
	       "  channel=dev        /dev/fuse\n"
	       "  spin=US            adaptive: microseconds to spin with nothing to do (300; 0 "
	       "with one CPU)\n"
	       "  dma-mem=SIZE       memory for the device to read and write (default: about 32M)\n"
	       "  max-data=SIZE      bytes of one WRITE (512K; 128K to 1M), of a READ 256K at "
	       "most\n"
	       "  no-hugepages       use 4 KiB pages for that memory\n"
	       "  init-timeout=S     seconds to wait for the device to answer FUSE_INIT (30)\n"
	       "  timeout=S          fail the session when a request has had no answer for so many "
	       "seconds\n"
	       "                     (0: wait for ever); blocking file locks don't count\n"
	       "  on-loss=eio        a device that is gone: requests fail with EIO until umount "
	       "(default)\n"
	       "  on-loss=wait       vhost-user: requests wait until the back end is there again; "
	       "needs one\n"
	       "                     that offers INFLIGHT_SHMFD, and backend-keeps-state; else it "
	       "is eio\n"
	       "  backend-keeps-state  you assert that the back end, started anew, still knows "
	       "inodes and\n"
	       "                     open files\n"
	       "  queues=N           vhost-user: request queues to use (what the back end says, or "
	       "1)\n"
	       "  ring=auto          packed virtqueues where the device offers them (default); "
	       "split, packed:\n"
	       "                     only these\n"
	       "  notify=on          let the device say what has changed on its side, where it can "
	       "(default);\n"
	       "                     off: not; store: and let it put data into the page cache\n"
	       "  grace=S            seconds that a busy mount is waited for on SIGTERM (10)\n"
	       "  allow-unsafe-noiommu  use VFIO where there is no IOMMU: the device can then "
	       "reach all\n"
	       "                     memory of this machine\n"
	       "  seccomp=kill       the worker is killed for a system call that it has no use for "
	       "(default);\n"
	       "                     log: such calls are logged by the kernel; none: no filter\n"
	       "  ro, noatime, ...   mount options, handed to the kernel\n"
	       "\n"
	       "Without -f it returns when the mount answers, with the outcome as its exit "
	       "status.\n"
	       "End it with umount MOUNTPOINT, or SIGTERM.\n";
}
