/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notifications: input is a byte of options and the message. What passes is what the kernel
 * expects: the sizes are compared with a second reading of them.
 */
#include "fuzz.h"

#include "base/uapi.h"
#include "fuse/notify_check.h"

static void check_named(const uint8_t *payload, size_t len, size_t size, size_t at)
{
	uint32_t says;

	fuzz_check(len > size);
	memcpy(&says, payload + at, sizeof(says));
	fuzz_check(says && says <= VIOFS_FUSE_NOTIFY_NAME_MAX && len == size + says + 1);
	fuzz_check(strnlen((const char *)payload + size, len - size) == says);
	fuzz_check(!strchr((const char *)payload + size, '/'));
}

static void check_passed(const struct fuse_out_header *head, size_t len, bool store)
{
	const uint8_t *payload = (const void *)(head + 1);
	struct fuse_notify_store_out out;

	fuzz_check(!head->unique && head->len == len);
	len -= sizeof(*head);
	switch (head->error) {
	case FUSE_NOTIFY_POLL:
		fuzz_check(len == 8);
		break;
	case FUSE_NOTIFY_INVAL_INODE:
		fuzz_check(len == 24);
		break;
	case FUSE_NOTIFY_INVAL_ENTRY:
		check_named(payload, len, 16, 8);
		break;
	case FUSE_NOTIFY_DELETE:
		check_named(payload, len, 24, 16);
		break;
	case FUSE_NOTIFY_STORE:
		fuzz_check(store && len >= sizeof(out));
		memcpy(&out, payload, sizeof(out));
		fuzz_check(out.size == len - sizeof(out) && out.offset + out.size <= INT64_MAX);
		break;
	default:
		fuzz_check(head->error == VIOFS_FUSE_NOTIFY_INC_EPOCH && !len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	bool store = fuzz_u8(&in) & 1;
	const char *name = NULL;
	size_t len = in.left;
	/* On the heap and no longer than it is: a byte beyond is found. */
	void *message = malloc(len ? len : 1);

	if (!message)
		abort();
	memcpy(message, in.at, len);
	if (!viofs_fuse_notify_check(message, len, store, &name))
		check_passed(message, len, store);
	fuzz_check(name != NULL);
	free(message);
	return 0;
}
