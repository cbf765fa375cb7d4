/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages with fields: what systemd's journal is sent. */
#include "daemon/journald.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int journal;
static char got[20000];

static int set_up(void **state)
{
	tree_make();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", tree_path("journal"));
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(journal, (struct sockaddr *)&address, sizeof(address)), 0);
	return 0;
}

static int tear_down(void **state)
{
	close(journal);
	tree_remove();
	return 0;
}

static void comes(const char *fields)
{
	char wanted[1000];
	ssize_t n = recv(journal, got, sizeof(got) - 1, 0);

	assert_true(n > 0);
	got[n] = '\0';
	snprintf(wanted, sizeof(wanted), "%sSYSLOG_IDENTIFIER=virtiofs-vfio\nSYSLOG_PID=%d\n%s",
		 "MESSAGE=it is slow\nPRIORITY=4\n", (int)getpid(), fields);
	assert_string_equal(got, wanted);
}

static void each_thing_that_is_known_has_a_field(void **state)
{
	struct viofs_journald_entry e = { .priority = LOG_WARNING, .message = "it is slow" };

	assert_int_equal(viofs_journald_send(address.sun_path, &e), 0);
	comes("");
	e.mountpoint = "/mnt";
	e.tag = "my fs";
	e.opcode = e.rule = "";
	assert_int_equal(viofs_journald_send(address.sun_path, &e), 0);
	comes("MOUNTPOINT=/mnt\nTAG=my fs\n");
	e.opcode = "READ";
	e.rule = "a = b";
	assert_int_equal(viofs_journald_send(address.sun_path, &e), 0);
	comes("MOUNTPOINT=/mnt\nTAG=my fs\nOPCODE=READ\nRULE=a = b\n");
}

static void no_text_makes_a_field_of_its_own(void **state)
{
	static char longest[20000];
	struct viofs_journald_entry e = { .priority = LOG_WARNING, .message = "it is slow" };

	e.tag = "x\nPRIORITY=0";
	assert_int_equal(viofs_journald_send(address.sun_path, &e), 0);
	comes("");
	memset(longest, 'x', sizeof(longest) - 1);
	e.tag = longest;
	e.rule = "it is left";
	assert_int_equal(viofs_journald_send(address.sun_path, &e), 0);
	comes("RULE=it is left\n");
}

static void nobody_who_listens_is_an_error_at_once(void **state)
{
	struct viofs_journald_entry e = { .priority = LOG_INFO, .message = "it is slow" };
	char longer[200];
	int sent = 0, rc;

	assert_int_equal(viofs_journald_send(tree_path("none"), &e), -ENOENT);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(address.sun_path)] = '\0';
	assert_int_equal(viofs_journald_send(longer, &e), -ENAMETOOLONG);
	/* One that doesn't read. */
	while (!(rc = viofs_journald_send(address.sun_path, &e)) && sent < 100000)
		sent++;
	assert_int_equal(rc, -EAGAIN);
	close(journal);
	assert_int_equal(viofs_journald_send(address.sun_path, &e), -ECONNREFUSED);
}

static void stderr_is_known_by_its_device_and_inode(void **state)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char stream[64];
	struct stat st;

	unsetenv("JOURNAL_STREAM");
	assert_false(viofs_journald_reads(fd));
	assert_int_equal(fstat(fd, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_true(viofs_journald_reads(fd));
	assert_false(viofs_journald_reads(journal));
	assert_false(viofs_journald_reads(-1));
	setenv("JOURNAL_STREAM", "9:", 1);
	assert_false(viofs_journald_reads(fd));
	close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_thing_that_is_known_has_a_field),
		TEST(no_text_makes_a_field_of_its_own),
		TEST(nobody_who_listens_is_an_error_at_once),
		TEST(stderr_is_known_by_its_device_and_inode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
