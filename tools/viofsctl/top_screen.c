/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofsctl top on a terminal.
 *
 * A thread takes samples, since a daemon that hangs is waited for: the terminal's user isn't. It
 * hands each over through a pipe, and touches nothing of the screen.
 */
#include "ctl.h"
#include "top.h"
#include "base/util.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Each that comes before the next sample is taken is one write(2) of a pointer. */
struct sample {
	json_t *all;
	char complaint[256];
};

struct sampler {
	const char *where;
	double interval_s;
	int fds[2];
};

struct shown {
	struct viofs_top_view view;
	struct sample *before, *now;
	struct viofs_top_list list;
};

static void free_sample(struct sample *s)
{
	if (s)
		json_decref(s->all);
	free(s);
}

static void *take_samples(void *arg)
{
	const struct sampler *r = arg;
	int64_t step = (int64_t)(r->interval_s * VIOFS_NSEC_PER_SEC), next = viofs_now_ns();

	for (;;) {
		struct sample *s = calloc(1, sizeof(*s));
		struct timespec t;

		if (s) {
			s->all = viofs_top_sample(r->where, s->complaint, sizeof(s->complaint));
			if (write(r->fds[1], &s, sizeof(s)) != (ssize_t)sizeof(s))
				free_sample(s);
		}
		next = VIOFS_MAX(next + step, viofs_now_ns());
		t = (struct timespec){ next / VIOFS_NSEC_PER_SEC, next % VIOFS_NSEC_PER_SEC };
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
			;
	}
	return NULL;
}

static void draw_line(int row, const char *line, int len)
{
	chtype how = *line == VIOFS_TOP_HEAD ? A_REVERSE : *line == VIOFS_TOP_SELECTED ? A_BOLD : 0;
	int mark = how ? 1 : 0, x;

	attrset(how);
	mvaddnstr(row, 0, line + mark, len - mark);
	/* A head goes over the whole width. */
	getyx(stdscr, row, x);
	if (how == A_REVERSE && x > 0)
		for (; x < COLS; x++)
			addch(' ');
	attrset(0);
}

static void draw(struct shown *s)
{
	char clock[16] = "", *text;
	time_t now = time(NULL);
	struct tm tm;
	int row = 0;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%T", &tm);
	s->view.rows = (unsigned int)LINES;
	s->view.columns = (unsigned int)COLS;
	s->view.clock = clock;
	s->view.complaint = s->now && s->now->complaint[0] ? s->now->complaint : NULL;
	viofs_top_order(&s->list, s->view.sort);
	text = viofs_top_text(&s->list, &s->view);
	erase();
	for (const char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1)
		draw_line(row++, line, (int)(end - line));
	refresh();
	free(text);
}

static void read_sample(int fd, struct shown *s)
{
	struct sample *new;
	struct viofs_top_list list;

	if (read(fd, &new, sizeof(new)) != (ssize_t)sizeof(new))
		return;
	if (viofs_top_rates(s->now ? s->now->all : NULL, new->all, &list)) {
		free_sample(new);
		return;
	}
	viofs_top_free(&s->list);
	free_sample(s->before);
	s->list = list;
	s->before = s->now;
	s->now = new;
}

static void select_other(struct shown *s, int step)
{
	size_t at = viofs_top_select(&s->list, &s->view);

	if (!s->list.count || (step < 0 && !at))
		return;
	at = VIOFS_MIN(at + (size_t)step, s->list.count - 1);
	snprintf(s->view.selected, sizeof(s->view.selected), "%s", s->list.mounts[at].socket);
}

/* Return: false: leave. */
static bool obey(struct shown *s, int key)
{
	static const char sorts[VIOFS_TOP_SORTS + 1] = "rbliocn";
	const char *sort = key > 0 && key < 128 ? strchr(sorts, key) : NULL;

	if (key == 'q' || key == 'Q')
		return false;
	if (key == KEY_UP || key == KEY_DOWN)
		select_other(s, key == KEY_UP ? -1 : 1);
	else if (key == KEY_RESIZE)
		clearok(curscr, TRUE); /* what a terminal makes of its text is its own affair */
	else if (sort)
		s->view.sort = (enum viofs_top_sort)(sort - sorts);
	return true;
}

static void watch(int samples, struct shown *s)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = samples, .events = POLLIN } };
	bool goes_on = true;
	int key;

	while (goes_on) {
		/* Until a key, a sample, or a signal: of a new size, which is a key for ncurses. */
		if (poll(fds, VIOFS_ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents & (POLLHUP | POLLERR))
			return;
		while (goes_on && (key = getch()) != ERR)
			goes_on = obey(s, key);
		if (fds[1].revents & POLLIN)
			read_sample(samples, s);
		draw(s);
	}
}

int viofs_top_screen(const char *where, double interval_s, enum viofs_top_sort sort)
{
	struct shown s = { .view = { .sort = sort, .interval_s = interval_s } };
	struct sampler sampler = { .where = where, .interval_s = interval_s };
	pthread_t thread;
	SCREEN *screen;

	if (pipe2(sampler.fds, O_CLOEXEC) < 0)
		return viofs_ctl_complain("No pipe: %s.", strerror(errno));
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return viofs_ctl_complain("This kind of terminal (TERM) isn't known; "
					  "top --batch needs none.");
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	draw(&s);
	if (pthread_create(&thread, NULL, take_samples, &sampler)) {
		endwin();
		return viofs_ctl_complain("No thread to take samples.");
	}
	watch(sampler.fds[0], &s);
	endwin();
	/* The thread may wait for a daemon, and has no end. */
	fflush(stdout);
	_exit(0);
}
