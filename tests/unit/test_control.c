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
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_TEXT 300000

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int listener, given;
static pthread_t server;

static json_t *say_arg(void *arg, const char *argument, int *fd)
{
	return json_pack("{s:s}", "said", (const char *)arg);
}

static json_t *say_much(void *arg, const char *argument, int *fd)
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
static json_t *give(void *arg, const char *argument, int *fd)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "!", 1), 1);
	close(ends[1]);
	*fd = given = ends[0];
	return json_pack("{s:i}", "given", 1);
}

static json_t *repeat(void *arg, const char *argument, int *fd)
{
	return json_pack("{s:s}", "said", argument ? argument : "(nothing)");
}

static json_t *have_no_memory(void *arg, const char *argument, int *fd)
{
	return NULL;
}

static const struct viofs_control_command commands[] = {
	{ "status", say_arg, NULL },  { "much", say_much, NULL },       { "clone", give, NULL },
	{ "repeat", repeat, "TEXT" }, { "none", have_no_memory, NULL }, { NULL, NULL, NULL },
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

static void an_argument_is_for_those_that_take_one(void **state)
{
	is_said("repeat", "said", "(nothing)");
	is_said("repeat ", "said", "");
	is_said("repeat two  words", "said", "two  words");
	is_said("status now", "error", "this command takes no argument");
	is_said("protocol now", "error", "there is no such command");
}

static void it_says_what_it_knows(void **state)
{
	int fd;
	json_t *reply = ask("protocol", &fd), *list = json_object_get(reply, "commands");

	assert_int_equal(json_integer_value(json_object_get(reply, "protocol")), 1);
	assert_true(json_string_length(json_object_get(reply, "version")) > 0);
	assert_int_equal(json_array_size(list), 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(list, i), "word")),
			commands[i].word);
	assert_null(json_object_get(json_array_get(list, 0), "argument"));
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 3), "argument")),
			    "TEXT");
	json_decref(reply);
}

/* What the server answers to pieces of @len bytes in all, each of @piece: until it closes. */
static const char *answer_to(const char *text, size_t len, size_t piece, bool ends)
{
	static char all[4096];
	size_t got = 0;
	ssize_t n = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	start_server();
	for (size_t i = 0; i < len; i += piece) {
		n = send(fd, text + i, len - i < piece ? len - i : piece, MSG_NOSIGNAL);
		if (n < 0) /* it has answered already */
			break;
		usleep(1000);
	}
	if (ends)
		shutdown(fd, SHUT_WR);
	while (got < sizeof(all) - 1 && (n = recv(fd, all + got, sizeof(all) - 1 - got, 0)) > 0)
		got += (size_t)n;
	assert_int_equal(pthread_join(server, NULL), 0);
	close(fd);
	all[got] = '\0';
	return all;
}

static void a_line_may_come_in_pieces(void **state)
{
	const char line[] = "repeat so it is\n";

	for (size_t piece = 1; piece < sizeof(line); piece++)
		assert_string_equal(answer_to(line, strlen(line), piece, false),
				    "{\"said\":\"so it is\"}\n");
	/* The end of what is sent ends it, too. */
	assert_string_equal(answer_to("repeat a", 8, 8, true), "{\"said\":\"a\"}\n");
	/* One line is answered. */
	assert_string_equal(answer_to("repeat a\nrepeat b\n", 18, 18, false), "{\"said\":\"a\"}\n");
	assert_string_equal(answer_to("", 0, 1, true), "");
}

static void what_is_no_line_is_refused(void **state)
{
	char longer[3 * VIOFS_CONTROL_LINE], *too = longer;

	memset(longer, 'x', sizeof(longer));
	assert_string_equal(answer_to(longer, sizeof(longer), sizeof(longer), false),
			    "{\"error\":\"the line is too long\"}\n");
	assert_string_equal(answer_to(longer, VIOFS_CONTROL_LINE, 50, false),
			    "{\"error\":\"the line is too long\"}\n");
	memcpy(longer, "repeat ", 7);
	longer[VIOFS_CONTROL_LINE - 1] = '\n';
	too = strdup(answer_to(longer, VIOFS_CONTROL_LINE, 50, false));
	assert_memory_equal(too, "{\"said\":\"xxx", 12);
	free(too);
	assert_string_equal(answer_to("status\0\n", 8, 8, false),
			    "{\"error\":\"the line has a NUL in it\"}\n");
	assert_string_equal(answer_to("\xff\xfe{}\n", 5, 5, false),
			    "{\"error\":\"there is no such command\"}\n");
}

/* Half a line, and no more: whoever comes next has an answer, too. */
static void half_a_line_is_not_waited_for_for_ever(void **state)
{
	assert_string_equal(answer_to("stat", 4, 4, false),
			    "{\"error\":\"no whole line was sent in time\"}\n");
	is_said("status", "said", "hello");
}

/* Nor one that comes so slowly that each byte of it is in time. */
static void *drip(void *arg)
{
	int fd = *(int *)arg;

	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1)
		usleep(100000);
	return NULL;
}

static void a_line_that_drips_is_not_waited_for_for_ever(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char text[128] = "";
	pthread_t dripper;

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(pthread_create(&dripper, NULL, drip, &fd), 0);
	/* 126 bytes would take more than 12 s, and be too long then. */
	serve_one(NULL);
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "{\"error\":\"no whole line was sent in time\"}\n");
	assert_int_equal(pthread_join(dripper, NULL), 0);
	close(fd);
}

/* A client that doesn't read has 2 s. */
static void who_does_not_read_is_not_waited_for_for_ever(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(write(fd, "much\n", 5), 5);
	serve_one(NULL);
	close(fd);
	is_said("status", "said", "hello");
}

#define CROWD 100

static void *ask_in_the_crowd(void *arg)
{
	json_t *reply = NULL;
	bool good;

	good = !viofs_control_ask(address.sun_path, "status", &reply) &&
	       json_object_get(reply, "said");
	json_decref(reply);
	return good ? NULL : ask_in_the_crowd;
}

static void each_of_a_crowd_has_its_answer(void **state)
{
	pthread_t crowd[CROWD];
	void *wrong;

	for (int i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&crowd[i], NULL, ask_in_the_crowd, NULL), 0);
	for (int i = 0; i < CROWD; i++)
		serve_one(NULL);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(pthread_join(crowd[i], &wrong), 0);
		assert_null(wrong);
	}
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
static void is_signalled(int signo)
{
}

/* Answers after several signals of the caller's timer. */
static void *serve_late(void *arg)
{
	usleep(100000);
	return serve_one(arg);
}

static void signals_do_not_end_the_wait_for_an_answer(void **state)
{
	const struct sigaction handled = { .sa_handler = is_signalled };
	const struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction before;
	json_t *reply = NULL;
	sigset_t alarms;
	int rc;

	/* The other thread has them blocked: they come to who waits. */
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarms, NULL);
	assert_int_equal(pthread_create(&server, NULL, serve_late, NULL), 0);
	sigaction(SIGALRM, &handled, &before);
	pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	rc = viofs_control_ask(address.sun_path, "status", &reply);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	pthread_join(server, NULL);
	assert_int_equal(rc, 0);
	assert_string_equal(json_string_value(json_object_get(reply, "said")), "hello");
	json_decref(reply);
}

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
		TEST(an_argument_is_for_those_that_take_one),
		TEST(it_says_what_it_knows),
		TEST(a_line_may_come_in_pieces),
		TEST(what_is_no_line_is_refused),
		TEST(half_a_line_is_not_waited_for_for_ever),
		TEST(a_line_that_drips_is_not_waited_for_for_ever),
		TEST(who_does_not_read_is_not_waited_for_for_ever),
		TEST(each_of_a_crowd_has_its_answer),
		TEST(a_long_answer_comes_whole),
		TEST(a_descriptor_comes_along_and_is_closed_behind),
		TEST(signals_do_not_end_the_wait_for_an_answer),
		TEST(a_client_that_goes_is_no_harm),
		TEST(what_is_no_answer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
