/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: one word, one answer, perhaps a descriptor with it. */
#include "daemon/control.h"
#include "model_backend.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_TEXT 300000

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int listener, given;
static pthread_t server;

static json_t *say_arg(void *arg, int *fd)
{
	return json_pack("{s:s}", "said", (const char *)arg);
}

static json_t *say_much(void *arg, int *fd)
{
	char *text = malloc(LONG_TEXT + 1);
	json_t *reply;

	assert_non_null(text);
	memset(text, 'x', LONG_TEXT);
	text[LONG_TEXT] = '\0';
	reply = json_pack("{s:s}", "said", text);
	free(text);
	return reply;
}

/* A pipe's end with something in it. */
static json_t *give(void *arg, int *fd)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "!", 1), 1);
	close(ends[1]);
	*fd = given = ends[0];
	return json_pack("{s:i}", "given", 1);
}

static json_t *have_no_memory(void *arg, int *fd)
{
	return NULL;
}

static const struct viofs_control_command commands[] = {
	{ "status", say_arg },      { "much", say_much }, { "clone", give },
	{ "none", have_no_memory }, { NULL, NULL },
};

static int set_up(void **state)
{
	tree_make();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", tree_path("s"));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	return 0;
}

static int tear_down(void **state)
{
	close(listener);
	tree_remove();
	return 0;
}

static void *serve_one(void *arg)
{
	static char text[] = "hello";

	viofs_control_serve(listener, commands, text);
	return NULL;
}

static void start_server(void)
{
	assert_int_equal(pthread_create(&server, NULL, serve_one, NULL), 0);
}

static json_t *ask(const char *word, int *fd)
{
	json_t *reply = NULL;

	start_server();
	assert_int_equal(viofs_control_ask_fd(address.sun_path, word, &reply, fd), 0);
	assert_int_equal(pthread_join(server, NULL), 0);
	assert_non_null(reply);
	return reply;
}

static void is_said(const char *word, const char *member, const char *text)
{
	int fd;
	json_t *reply = ask(word, &fd);

	assert_int_equal(fd, -1);
	assert_string_equal(json_string_value(json_object_get(reply, member)), text);
	json_decref(reply);
}

static void each_word_has_its_answer(void **state)
{
	is_said("status", "said", "hello");
	is_said("none", "error", "out of memory");
	is_said("statu", "error", "there is no such command");
	is_said("status2", "error", "there is no such command");
	is_said("", "error", "there is no such command");
	is_said("a word that is longer than any that there is", "error",
		"there is no such command");
}

static void a_long_answer_comes_whole(void **state)
{
	int fd;
	json_t *reply = ask("much", &fd);

	assert_int_equal(json_string_length(json_object_get(reply, "said")), LONG_TEXT);
	json_decref(reply);
}

static void a_descriptor_comes_along_and_is_closed_behind(void **state)
{
	int fd;
	json_t *reply = ask("clone", &fd);
	unsigned int before;
	char c;

	assert_int_equal(json_integer_value(json_object_get(reply, "given")), 1);
	assert_true(fd >= 0 && fd != given);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, '!');
	close(fd);
	assert_int_equal(fcntl(given, F_GETFD), -1);
	json_decref(reply);
	/* Who wants none gets none, and keeps none. */
	before = model_count_fds();
	start_server();
	assert_int_equal(viofs_control_ask(address.sun_path, "clone", &reply), 0);
	assert_int_equal(pthread_join(server, NULL), 0);
	json_decref(reply);
	assert_int_equal(model_count_fds(), before);
}

/* Whoever asks and goes, or asks nothing, is nobody's end. */
static void a_client_that_goes_is_no_harm(void **state)
{
	for (int says = 0; says < 2; says++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		if (says)
			assert_int_equal(write(fd, "much\n", 5), 5);
		close(fd);
		serve_one(NULL);
	}
	is_said("status", "said", "hello");
}

static void *answer_badly(void *arg)
{
	const char *text = arg;
	int fd = accept(listener, NULL, NULL);
	char word[32];

	if (read(fd, word, sizeof(word)) > 0 && *text)
		send(fd, text, strlen(text), MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void what_is_no_answer_is_an_error(void **state)
{
	static char bad[][16] = { "", "{", "no json" };
	char longer[200];
	json_t *reply;
	int fd;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_create(&server, NULL, answer_badly, bad[i]), 0);
		assert_int_equal(viofs_control_ask_fd(address.sun_path, "status", &reply, &fd),
				 -EPROTO);
		assert_int_equal(fd, -1);
		assert_int_equal(pthread_join(server, NULL), 0);
	}
	close(listener);
	assert_int_equal(viofs_control_ask(address.sun_path, "status", &reply), -ECONNREFUSED);
	assert_int_equal(viofs_control_ask(tree_path("none"), "status", &reply), -ENOENT);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(address.sun_path)] = '\0';
	assert_int_equal(viofs_control_ask(longer, "status", &reply), -ENAMETOOLONG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_word_has_its_answer),
		TEST(a_long_answer_comes_whole),
		TEST(a_descriptor_comes_along_and_is_closed_behind),
		TEST(a_client_that_goes_is_no_harm),
		TEST(what_is_no_answer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
