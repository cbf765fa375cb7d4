/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding the device. */
#include "attach/source.h"
#include "base/log.h"
#include "base/util.h"
#include "attach/hold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAG_PREFIX "tag:"

/* The tag lies at the start of the configuration (virtio 1.3 5.11.4), which may be read at any
 * time. */
static int read_tag(struct viofs_virtio *d, void *tag, struct viofs_err *err)
{
	uint8_t raw[VIOFS_TAG_SIZE];
	int rc;

	rc = d->ops->config_read(d, 0, raw, sizeof(raw));
	if (rc)
		viofs_err_set(err, rc, "The device's tag can't be read: %s.", strerror(-rc));
	else
		rc = viofs_tag_check(raw, tag, err);
	viofs_virtio_close(d);
	return rc;
}

static int without_vfio(const char *text, struct viofs_err *err)
{
	return viofs_err_set(err, -ENOTSUP,
			     "%s: this program was built without VFIO, so it knows no PCI devices: "
			     "vhost-user:PATH is what it takes.",
			     text);
}

int viofs_source_look(const struct viofs_pci_function *f,
		      int (*look)(struct viofs_virtio *d, void *arg, struct viofs_err *err),
		      void *arg, struct viofs_err *err)
{
	/* Works without an IOMMU, too: no queue is set up, so the device gets no address. */
	const struct viofs_transport_options options = { .allow_noiommu = true };
	struct viofs_virtio *d = NULL;
	struct viofs_hold hold;
	int rc;

	if (!viofs_transport_function())
		return without_vfio(f->text, err);
	rc = viofs_hold_take(f, 0, &hold, err);
	if (rc)
		return rc;
	rc = viofs_transport_function()->open(f->text, &options, &d, err);
	if (!rc)
		rc = look(d, arg, err);
	viofs_hold_leave(&hold);
	return rc;
}

const char *viofs_source_name(const struct viofs_source *s)
{
	return viofs_source_is_function(s) ? s->function.text : s->path;
}

bool viofs_source_is_bound(const struct viofs_source *s)
{
	return !viofs_source_is_function(s) || !strcmp(s->function.driver, VIOFS_PCI_VFIO);
}

static bool is_with_vfio(const struct viofs_pci_function *f)
{
	return !f->driver[0] || !strcmp(f->driver, VIOFS_PCI_VFIO);
}

/*
 * The function that a record is about may have been unplugged. If another one in its place has a
 * driver of the kernel, the record is not about that one.
 */
static bool is_recorded(const struct viofs_pci_function *f, struct viofs_record *record)
{
	return !viofs_record_read(f->text, record) && record->tag[0] &&
	       (is_with_vfio(f) || viofs_run_is_locked(f->text) == 1);
}

int viofs_source_tag(const struct viofs_pci_function *f, char tag[VIOFS_TAG_TEXT],
		     struct viofs_err *err)
{
	struct viofs_record record;
	int rc;

	if (is_recorded(f, &record)) {
		memcpy(tag, record.tag, sizeof(record.tag));
		return 0;
	}
	rc = viofs_pci_tag_read(f, tag, NULL, err);
	if (rc != -EOPNOTSUPP || !is_with_vfio(f))
		return rc;
	return viofs_source_look(f, read_tag, tag, err);
}

int viofs_source_check_tag(const struct viofs_source *s, const char *tag, struct viofs_err *err)
{
	if (!s->by_tag || !strcmp(s->tag, tag))
		return 0;
	return viofs_err_set(err, -ESTALE,
			     "%s has the tag \"%s\", not \"%s\": another device has taken the "
			     "place of the one that had it. Try again, or see viofsctl list.",
			     s->id, tag, s->tag);
}

/* The address of a PCI function can be a file name as it is. */
static void name_function(struct viofs_source *s)
{
	snprintf(s->id, sizeof(s->id), "%s", s->function.text);
}

/* FNV-1a: a path may be longer than the name of a control socket, and has slashes. */
static uint64_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	while (*text)
		h = (h ^ (uint8_t)*text++) * 0x100000001b3ULL;
	return h;
}

static int find_path(const struct viofs_transport *t, const char *path, struct viofs_source *out,
		     struct viofs_err *err)
{
	struct viofs_source s = { .transport = t };

	if (!*path)
		return viofs_err_set(err, -EINVAL, "%s lacks the path of %s.", t->prefix, t->what);
	if (!realpath(path, s.path)) {
		int rc = -errno;

		return viofs_err_set(err, rc, "%s%s: %s.%s%s", t->prefix, path, strerror(-rc),
				     rc == -ENOENT ? " " : "", rc == -ENOENT ? t->advice : "");
	}
	snprintf(s.id, sizeof(s.id), VIOFS_RECORD_SOCKET "%016llx",
		 (unsigned long long)hash(s.path));
	*out = s;
	return 0;
}

/* "a, b, c" of what is there, each once, for the message. */
static void append(char *list, size_t size, const char *word)
{
	size_t len = strlen(list), word_len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += word_len)
		if ((at == list || at[-1] == ' ') && (!at[word_len] || at[word_len] == ','))
			return;
	snprintf(list + len, size - len, "%s%s", len ? ", " : "", word);
}

static int find_tag(const char *tag, struct viofs_source *out, struct viofs_err *err)
{
	char others[256] = "", same[256] = "", unknown[300] = "";
	struct viofs_pci_function *all = NULL;
	int count, found = 0;

	count = viofs_pci_function_scan(&all, err);
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		struct viofs_source s = { .transport = viofs_transport_function(),
					  .function = all[i],
					  .by_tag = true };
		struct viofs_err why;

		name_function(&s);
		if (viofs_source_tag(&all[i], s.tag, &why)) {
			viofs_debug("%s: %s", all[i].text, why.text);
			snprintf(unknown, sizeof(unknown), " The tag of %s could not be learnt%s",
				 all[i].text, geteuid() ? ": it takes root, run it as root." : ".");
		} else if (strcmp(s.tag, tag) != 0) {
			append(others, sizeof(others), s.tag);
		} else {
			append(same, sizeof(same), all[i].text);
			*out = s;
			found++;
		}
	}
	free(all);
	if (found == 1)
		return 0;
	if (found)
		return viofs_err_set(err, -EMFILE,
				     "%d devices have the tag \"%s\": %s. Name the one by its "
				     "address.",
				     found, tag, same);
	if (!count)
		return viofs_err_set(err, -ENODEV,
				     "This machine has no virtio-fs device (1af4:105a on the "
				     "PCI bus), so none has the tag \"%s\".",
				     tag);
	return viofs_err_set(err, -ENODEV,
			     "No virtio-fs device has the tag \"%s\". Tags found: %s.%s See "
			     "viofsctl list.",
			     tag, others[0] ? others : "none", unknown);
}

static int find_address(const struct viofs_pci_address *a, struct viofs_source *out,
			struct viofs_err *err)
{
	struct viofs_source s = { .transport = viofs_transport_function() };
	struct viofs_err why;
	int rc;

	rc = viofs_pci_function_read(a, &s.function, err);
	if (rc)
		return rc;
	if (!viofs_pci_function_is_fs(&s.function))
		return viofs_err_set(err, -ENOTTY,
				     "%s is no virtio-fs device: it is %04x:%04x, not "
				     "%04x:%04x. See viofsctl list.",
				     s.function.text, s.function.vendor, s.function.device,
				     VIOFS_PCI_VENDOR_VIRTIO, VIOFS_PCI_DEVICE_FS);
	if (viofs_source_tag(&s.function, s.tag, &why)) {
		viofs_debug("%s: %s", s.function.text, why.text);
		s.tag[0] = '\0';
	}
	name_function(&s);
	*out = s;
	return 0;
}

int viofs_source_find(const char *text, struct viofs_source *out, struct viofs_err *err)
{
	const struct viofs_transport *t = viofs_transport_of(text);
	struct viofs_pci_address a;
	struct viofs_err why = { .text = "" };
	int rc;

	if (t)
		return find_path(t, text + strlen(t->prefix), out, err);
	if (!viofs_transport_function())
		return without_vfio(text, err);
	if (!strncmp(text, TAG_PREFIX, strlen(TAG_PREFIX)))
		return find_tag(text + strlen(TAG_PREFIX), out, err);
	if (!viofs_pci_address_parse(text, &a))
		return find_address(&a, out, err);
	rc = find_tag(text, out, &why);
	if (rc == -ENODEV && strchr(text, ':'))
		return viofs_err_set(
			err, -EINVAL,
			"\"%s\" is no PCI address such as 0000:00:04.0 "
			"(domain:bus:device.function, in hex), nor a tag that is there. See "
			"viofsctl list.",
			text);
	if (rc)
		*err = why;
	return rc;
}
