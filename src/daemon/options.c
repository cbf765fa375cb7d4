/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's command line.
 *
 * libfuse splits and unescapes it; what each word means is in option_table.c.
 */
#define FUSE_USE_VERSION 314
#include "daemon/options.h"
#include "attach/source.h"
#include "base/page.h"
#include "base/util.h"
#include "daemon/option_table.h"

#include <errno.h>
#include <fuse_opt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Data areas: enough for a few requests at least, and no more than indices allow. */
#define BUFFERS_MIN 4U

/* A command line that is being read. */
struct reading {
	struct viofs_options *o;
	struct viofs_err *err;
	int rc;
	char own[32]; /* the first of own_words, refused unless it is a remount */
};

/*
 * Words for mount(8), systemd and readers of fstab: they don't concern the mount. A '*' at the end
 * stands for any text.
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

static int refuse(struct reading *r, const char *fmt, const char *arg)
{
	r->rc = -EINVAL;
	viofs_err_set(r->err, r->rc, "%s \"%s\". See virtiofs-vfio --help.", fmt, arg);
	return -1;
}

/* A word that is no option of ours. Return: libfuse's 0 = dropped here, -1 = stop. */
static int parse_word(void *data, const char *arg, int key, struct fuse_args *outargs)
{
	struct reading *r = data;
	const struct viofs_option *option;
	const char *value;
	char **where = !r->o->source ? &r->o->source : &r->o->mountpoint;

	if (key == FUSE_OPT_KEY_NONOPT) {
		if (*where)
			return refuse(r, "There is an argument too many,", arg);
		*where = strdup(arg);
		r->rc = *where ? 0 : viofs_err_set(r->err, -ENOMEM, "Out of memory.");
		return r->rc ? -1 : 0;
	}
	option = viofs_option_find(arg, &value);
	if (option) {
		r->rc = viofs_option_set(option, value, r->o, r->err);
		return r->rc ? -1 : 0;
	}
	if (arg[0] == '-')
		return refuse(r, "There is no option", arg);
	if (is_word_of(arg, fstab_words, VIOFS_ARRAY_SIZE(fstab_words)))
		return 0;
	if (!strcmp(arg, "remount")) {
		r->o->remount = true;
		return 0;
	}
	/* mount(8) passes these to a remount, as it found them in the mount table. */
	if (is_word_of(arg, own_words, VIOFS_ARRAY_SIZE(own_words))) {
		if (!r->own[0])
			snprintf(r->own, sizeof(r->own), "%s", arg);
		return 0;
	}
	r->rc = viofs_mount_options_add(&r->o->mount, arg, r->err);
	if (r->rc == -ENOENT)
		return refuse(r, "There is no option", arg);
	return r->rc ? -1 : 0;
}

/* Checks options that depend on each other. */
static int check_together(const struct viofs_options *o, struct viofs_err *err)
{
	if (o->keeps_state && o->on_loss != VIOFS_ON_LOSS_WAIT)
		return viofs_err_set(err, -EINVAL,
				     "-o backend-keeps-state goes with on-loss=wait: "
				     "nothing else depends on it.");
	if (o->on_loss == VIOFS_ON_LOSS_WAIT && o->ring == VIOFS_ATTACH_RING_ONLY_PACKED)
		return viofs_err_set(err, -EINVAL,
				     "-o on-loss=wait goes with split rings: back ends "
				     "track what is in flight for those. Leave ring=packed out.");
	if (o->seccomp < viofs_sandbox_seccomp_default())
		return viofs_err_set(err, -EINVAL,
				     "-o seccomp=%s: this program was built without libseccomp, so "
				     "there is only none.",
				     viofs_seccomp_name(o->seccomp));
	return 0;
}

/* How many data areas the memory holds beside the slots. */
static int share_memory(struct viofs_options *o, struct viofs_err *err)
{
	struct viofs_relay_config *c = &o->relay, none;
	uint64_t data = o->max_data ? o->max_data : c->max_data, slots, min, max;
	char text[3][24];

	if (data % viofs_page_size())
		return viofs_err_set(
			err, -EINVAL, "-o max-data=%s: a multiple of %s is needed.",
			viofs_option_size(data, text[0], sizeof(text[0])),
			viofs_option_size(viofs_page_size(), text[1], sizeof(text[1])));
	/* The default is a fixed amount of memory, whatever the size of one buffer. */
	c->buffers = (uint32_t)((uint64_t)c->buffers * c->max_data / data);
	c->max_data = (uint32_t)data;
	if (!o->dma_mem)
		return 0;
	none = *c;
	none.buffers = 0;
	slots = viofs_relay_config_memory(&none);
	min = slots + BUFFERS_MIN * data;
	max = slots + VIOFS_RELAY_BUFFERS_MAX * data;
	if (o->dma_mem < min || o->dma_mem > max)
		return viofs_err_set(err, -EINVAL,
				     "-o dma-mem=%s: a size from %s to %s is needed, such as 64M.",
				     viofs_option_size(o->dma_mem, text[0], sizeof(text[0])),
				     viofs_option_size(min, text[1], sizeof(text[1])),
				     viofs_option_size(max, text[2], sizeof(text[2])));
	c->buffers = (uint32_t)((o->dma_mem - slots) / data);
	return 0;
}

static int settle(struct viofs_options *o, struct viofs_err *err)
{
	int rc = check_together(o, err);

	if (!rc)
		rc = share_memory(o, err);
	o->foreground |= o->debug;
	o->relay.notify_store = o->notify == VIOFS_NOTIFY_STORE;
	o->relay.pin_lanes = CPU_COUNT(&o->cpus);
	return rc;
}

/* Return: a copy of @arg, under the option's own name where @arg has an alias; NULL: no memory. */
static char *copy_word(const char *arg, const struct viofs_option *option, const char *value)
{
	char *copy;

	if (!option || !value)
		return strdup(arg);
	return asprintf(&copy, "%s=%s", option->name, value) < 0 ? NULL : copy;
}

/* Which words are options of all mounts together: the daemon's, and labels. */
static int keep_word(void *data, const char *arg, int key, struct fuse_args *outargs)
{
	struct viofs_options *o = data;
	const struct viofs_option *option;
	const char *value = NULL;
	char **grown;

	if (key == FUSE_OPT_KEY_NONOPT || arg[0] == '-')
		return 0;
	option = viofs_option_find(arg, &value);
	if (!option && !strstr(arg, "context="))
		return 0;
	grown = reallocarray(o->words, o->word_count + 1, sizeof(*grown));
	if (!grown)
		return -1;
	o->words = grown;
	grown[o->word_count] = copy_word(arg, option, value);
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
	static const struct fuse_opt none[] = { FUSE_OPT_END };
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct reading r = { .o = o, .err = err };
	int rc = 0;

	memset(o, 0, sizeof(*o));
	o->grace_s = 10;
	o->restarts = 4;
	o->seccomp = viofs_sandbox_seccomp_default();
	viofs_relay_config_default(&o->relay);
	if (fuse_opt_parse(&args, &r, none, parse_word))
		rc = r.rc ? r.rc
			  : viofs_err_set(err, -EINVAL,
					  "The command line can't be read: an option lacks its "
					  "value. See virtiofs-vfio --help.");
	if (!rc && r.own[0] && !o->remount) {
		refuse(&r, "The daemon sets this mount option itself:", r.own);
		rc = r.rc;
	}
	if (!rc)
		rc = settle(o, err);
	if (!rc)
		rc = keep_words(argc, argv, o, err);
	if (!rc)
		rc = check_complete(o, err);
	fuse_opt_free_args(&args);
	return rc;
}

int viofs_options_check(const struct viofs_options *o, struct viofs_err *err)
{
	const struct viofs_transport *t = viofs_transport_of(o->source);
	cpu_set_t mine, both;

	if (t && !o->source[strlen(t->prefix)])
		return viofs_err_set(err, -EINVAL, "%s lacks the path of %s.", o->source, t->what);
	if (o->queues && !(t && t->takes_queues))
		return viofs_err_set(err, -EINVAL,
				     "-o queues= goes with vhost-user: only, a PCI device says "
				     "itself how many queues it has.");
	if (o->relay.channel == VIOFS_CHANNEL_URING && o->relay.loop == VIOFS_LOOP_EPOLL)
		return viofs_err_set(err, -EINVAL,
				     "-o channel=uring is FUSE over io_uring, and -o events=epoll "
				     "does without io_uring: leave one of them out.");
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

void viofs_options_print_help(FILE *out)
{
	fputs("Usage: virtiofs-vfio [-f] [-d] [-o OPT,...] SOURCE MOUNTPOINT\n"
	      "\n"
	      "Mounts the directory that a virtio-fs device exports, driving the device from\n"
	      "this process through VFIO, or through the socket of a vhost-user back end\n"
	      "(virtiofsd).\n"
	      "\n"
	      "SOURCE is the device's tag, or its PCI address such as 0000:00:04.0. tag:NAME is\n"
	      "a tag whatever it looks like. `viofsctl list` shows both. vhost-user:PATH is a\n"
	      "back end's socket: no VM, no PCI device, no VFIO.\n"
	      "\n",
	      out);
	viofs_option_print_help(out, true);
	fputs("\n"
	      "Options for -o, or for mount -t virtiofs-vfio and /etc/fstab:\n",
	      out);
	viofs_option_print_help(out, false);
	fputs("  ro, noatime, ...      mount options, handed to the kernel\n"
	      "\n"
	      "Without -f it returns when the mount answers, with the outcome as its exit\n"
	      "status. End it with umount MOUNTPOINT, or SIGTERM.\n",
	      out);
}
