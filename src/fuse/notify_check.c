/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notifications: what the device may say unasked. */
/*
 * A notification is a reply with unique 0 and its code in place of an error (fuse.h). The kernel
 * checks them too, but trusts their sender, which normally is the mounted file system. Here it is a
 * device.
 */
#include "fuse/notify_check.h"

#include "base/uapi.h"
#include "base/util.h"

#include <stdint.h>
#include <string.h>

/* One kind: its struct, and what follows that. */
struct kind {
	const char *name;
	enum { NEVER, FIXED, NAME, DATA } form;
	size_t size;       /* of the struct */
	size_t len_offset; /* of the u32 that says how long the name or the data are */
};

static const struct kind kinds[] = {
	[FUSE_NOTIFY_POLL] = { "POLL", FIXED, sizeof(struct fuse_notify_poll_wakeup_out), 0 },
	[FUSE_NOTIFY_INVAL_INODE] = { "INVAL_INODE", FIXED,
				      sizeof(struct fuse_notify_inval_inode_out), 0 },
	[FUSE_NOTIFY_INVAL_ENTRY] = { "INVAL_ENTRY", NAME,
				      sizeof(struct fuse_notify_inval_entry_out),
				      offsetof(struct fuse_notify_inval_entry_out, namelen) },
	[FUSE_NOTIFY_STORE] = { "STORE", DATA, sizeof(struct fuse_notify_store_out),
				offsetof(struct fuse_notify_store_out, size) },
	[FUSE_NOTIFY_RETRIEVE] = { "RETRIEVE", NEVER, 0, 0 },
	[FUSE_NOTIFY_DELETE] = { "DELETE", NAME, sizeof(struct fuse_notify_delete_out),
				 offsetof(struct fuse_notify_delete_out, namelen) },
	[VIOFS_FUSE_NOTIFY_RESEND] = { "RESEND", NEVER, 0, 0 },
	[VIOFS_FUSE_NOTIFY_INC_EPOCH] = { "INC_EPOCH", FIXED, 0, 0 },
	[VIOFS_FUSE_NOTIFY_PRUNE] = { "PRUNE", NEVER, 0, 0 },
};

static const char *check_name(const uint8_t *name, uint32_t len, size_t have)
{
	if (!len || len > VIOFS_FUSE_NOTIFY_NAME_MAX)
		return "a name of no possible length";
	if (have != (size_t)len + 1)
		return "its name has another length than it says";
	if (name[len] || memchr(name, 0, len) || memchr(name, '/', len))
		return "a name that is none";
	return NULL;
}

static const char *check_store(const struct fuse_notify_store_out *out, size_t have)
{
	if (have != out->size)
		return "its data have another length than it says";
	if (out->offset > (uint64_t)INT64_MAX - out->size)
		return "an offset beyond any file";
	return NULL;
}

static const char *check_payload(const struct kind *kind, const uint8_t *payload, size_t len,
				 bool store)
{
	uint32_t says;

	if (kind->form == NEVER)
		return "of a kind that is not taken from a device";
	if (kind->form == DATA && !store)
		return "data for the page cache, which was not agreed to";
	if (len < kind->size || (kind->form == FIXED && len != kind->size))
		return "a wrong length";
	if (kind->form == FIXED)
		return NULL;
	memcpy(&says, payload + kind->len_offset, sizeof(says));
	if (kind->form == NAME)
		return check_name(payload + kind->size, says, len - kind->size);
	return check_store((const void *)payload, len - kind->size);
}

const char *viofs_fuse_notify_check(const void *message, size_t len, bool store, const char **name)
{
	const struct fuse_out_header *head = message;
	const struct kind *kind;

	*name = "notification";
	if (len < sizeof(*head))
		return "shorter than its header";
	if (head->error <= 0 || (size_t)head->error >= VIOFS_ARRAY_SIZE(kinds))
		return "an unknown code";
	kind = &kinds[head->error];
	*name = kind->name;
	if (head->unique)
		return "it says that it is a reply";
	if (head->len != len)
		return "another length than was written";
	return check_payload(kind, (const uint8_t *)(head + 1), len - sizeof(*head), store);
}
