/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs_path_access() with a device that knows no ACCESS: owner and mode decide. And what the
 * library allows where it is to check.
 */
#include "client_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define UID 1000U
#define GID 100U

static struct viofs_session *session;
static bool knows_access;

/* The files of the share are named MODE,UID,GID; their attributes hold for no time. */
static enum model_verdict share(struct model_device *d, struct model_request *r)
{
	static struct fuse_attr last;
	const struct fuse_in_header *in = (const void *)r->message;
	struct fuse_out_header *head = (void *)r->reply;
	struct fuse_entry_out *entry = (void *)(head + 1);
	struct fuse_attr_out *attr = (void *)(head + 1);
	size_t size = 0;

	if (r->opcode == FUSE_LOOKUP) {
		memset(&last, 0, sizeof(last));
		last.ino = 5;
		if (sscanf((const char *)r->message + sizeof(struct fuse_in_header), "%o,%u,%u",
			   &last.mode, &last.uid, &last.gid) != 3)
			return MODEL_ANSWER;
		*entry = (struct fuse_entry_out){ .nodeid = 5, .attr = last };
		size = sizeof(*entry);
	} else if (r->opcode == FUSE_GETATTR) {
		attr->attr = last;
		if (in->nodeid == FUSE_ROOT_ID)
			attr->attr = (struct fuse_attr){ .ino = 1, .mode = S_IFDIR | 0755 };
		size = sizeof(*attr);
	} else if (r->opcode != FUSE_SETXATTR && r->opcode != FUSE_GETXATTR &&
		   (r->opcode != FUSE_ACCESS || !knows_access)) {
		return MODEL_ANSWER;
	}
	head->error = 0;
	head->len = (uint32_t)(sizeof(*head) + size);
	r->reply_len = r->used_len = head->len;
	return MODEL_ANSWER;
}

static void open_session_with(uint32_t uid, uint32_t flags)
{
	struct viofs_session_options o;

	viofs_session_options_init(&o, sizeof(o));
	o.flags |= flags;
	o.uid = uid;
	o.gid = uid ? GID : 0;
	bench_open();
	bench_set_hook(share);
	assert_int_equal(viofs_session_open(bench.dev, &o, &session, &bench.err), 0);
}

static void open_session(uint32_t uid)
{
	open_session_with(uid, 0);
}

/* What is allowed, of R_OK | W_OK | X_OK, each by itself and all at once. */
static void may(const char *name, int allowed)
{
	for (int mode = 0; mode <= (R_OK | W_OK | X_OK); mode++) {
		int rc = viofs_path_access(session, name, 0, mode, NULL);

		if (rc != (mode & ~allowed ? -EACCES : 0))
			fail_msg("%s: access %o is %d", name, (unsigned int)mode, rc);
	}
}

static void a_users_class_decides(void **state)
{
	knows_access = false;
	open_session(UID);
	may("100640,1000,5", R_OK | W_OK);
	may("100077,1000,100", 0);
	may("100407,5,100", 0);
	may("100457,5,100", R_OK | X_OK);
	may("100771,5,5", X_OK);
	may("100770,5,5", 0);
	may("40701,5,5", X_OK);
	may("100777,0,0", R_OK | W_OK | X_OK);
	assert_int_equal(viofs_path_access(session, "absent", 0, F_OK, NULL), -ENOENT);
	assert_int_equal(viofs_path_access(session, "100777,0,0", 0, 8, NULL), -EINVAL);
	/* It was asked once. */
	assert_int_equal(model_device_count(&bench.device, FUSE_ACCESS), 1);
	viofs_session_close(session);
}

static void root_may_all_but_execute_what_nobody_may(void **state)
{
	knows_access = false;
	open_session(0);
	may("100000,5,5", R_OK | W_OK);
	may("100010,5,5", R_OK | W_OK | X_OK);
	may("40000,5,5", R_OK | W_OK | X_OK);
	viofs_session_close(session);
}

static void a_device_that_knows_access_is_asked(void **state)
{
	knows_access = true;
	open_session(UID);
	may("100000,5,5", R_OK | W_OK | X_OK);
	assert_int_equal(model_device_count(&bench.device, FUSE_ACCESS), 8);
	viofs_session_close(session);
}

/* A request is made only where the call is allowed. */
static void may_set(const char *file, const char *name, int rc)
{
	unsigned int before = model_device_count(&bench.device, FUSE_SETXATTR);
	int is = viofs_path_setxattr(session, file, 0, name, "x", 1, 0, NULL);

	if (is != rc)
		fail_msg("%s: %s is %d", file, name, is);
	assert_int_equal(model_device_count(&bench.device, FUSE_SETXATTR), before + !rc);
}

static void a_users_extended_attributes_are_by_mode_and_owner(void **state)
{
	char value[8];

	open_session_with(UID, VIOFS_SESSION_CHECK);
	may_set("100644,1000,100", "user.a", 0);
	may_set("100444,1000,100", "user.a", -EACCES);
	may_set("100644,5,5", "user.a", -EACCES);
	may_set("100646,5,5", "user.a", 0);
	may_set("100444,1000,100", "system.posix_acl_access", 0);
	may_set("100666,5,5", "system.posix_acl_access", -EPERM);
	may_set("100666,1000,100", "trusted.a", -EPERM);
	may_set("100666,1000,100", "security.a", -EPERM);
	assert_int_equal(viofs_path_getxattr(session, "100644,5,5", 0, "trusted.a", value,
					     sizeof(value), NULL),
			 -ENODATA);
	assert_int_equal(
		viofs_path_getxattr(session, "100600,5,5", 0, "user.a", value, sizeof(value), NULL),
		-EACCES);
	assert_int_equal(model_device_count(&bench.device, FUSE_GETXATTR), 0);
	viofs_session_close(session);
}

static void root_may_set_any_extended_attribute(void **state)
{
	open_session_with(0, VIOFS_SESSION_CHECK);
	may_set("100444,5,5", "user.a", 0);
	may_set("100444,5,5", "system.posix_acl_access", 0);
	may_set("100444,5,5", "trusted.a", 0);
	may_set("100444,5,5", "security.a", 0);
	viofs_session_close(session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_users_class_decides),
		BOTH(root_may_all_but_execute_what_nobody_may),
		BOTH(a_device_that_knows_access_is_asked),
		BOTH(a_users_extended_attributes_are_by_mode_and_owner),
		BOTH(root_may_set_any_extended_attribute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
