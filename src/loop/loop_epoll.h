/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop's back end for where there is no io_uring. */
#ifndef VIOFS_LOOP_LOOP_EPOLL_H
#define VIOFS_LOOP_LOOP_EPOLL_H

struct viofs_loop;

/** viofs_loop_epoll_open() - Return: 0 or -errno. */
int viofs_loop_epoll_open(struct viofs_loop *l);

#endif
