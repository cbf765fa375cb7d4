/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofs_path_access() with a device that knows no ACCESS: owner and mode decide. */
#include "client_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
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
		size = sizeof(*attr);
	} else if (r->opcode != FUSE_ACCESS || !knows_access) {
		return MODEL_ANSWER;
	}
	head->error = 0;
	head->len = (uint32_t)(sizeof(*head) + size);
	r->reply_len = r->used_len = head->len;
	return MODEL_ANSWER;
}

static void open_session(uint32_t uid)
{
	struct viofs_session_options o;

	viofs_session_options_init(&o, sizeof(o));
	o.uid = uid;
	o.gid = uid ? GID : 0;
	bench_open();
	bench_set_hook(share);
	assert_int_equal(viofs_session_open(bench.dev, &o, &session, &bench.err), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_users_class_decides),
		BOTH(root_may_all_but_execute_what_nobody_may),
		BOTH(a_device_that_knows_access_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
