/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FORGETs that wait, by nodeid. */
#include "relay/forgotten.h"
#include "base/barrier.h"
#include "base/page.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NONE UINT32_MAX
#define ROOM_MIN 256U

/* Which chain: nodeids are small numbers or addresses, so all bits count; and they are the device's
 * choice, which must not be able to put all of them into one. */
static uint32_t chain_of(const struct viofs_forgotten *f, uint64_t nodeid)
{
	uint64_t h = (nodeid ^ f->key[0]) * f->key[1];

	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ULL;
	return (uint32_t)(h >> 32) & (f->room - 1);
}

static void choose_key(struct viofs_forgotten *f)
{
	if (getrandom(f->key, sizeof(f->key), GRND_NONBLOCK) != (ssize_t)sizeof(f->key))
		f->key[0] = f->key[1] = (uint64_t)viofs_now_ns() * 0x9e3779b97f4a7c15ULL;
	f->key[1] |= 1;
}

static void link_in(struct viofs_forgotten *f, uint32_t index)
{
	uint32_t *first = &f->first[chain_of(f, f->one[index].nodeid)];

	f->next[index] = *first;
	*first = index;
}

/* Chains for twice as many, a power of 2, or for all that there are. */
static int grow(struct viofs_forgotten *f)
{
	uint32_t room = f->room ? 2 * f->room : ROOM_MIN, *next, *first;

	while (room < *f->count)
		room *= 2;
	next = realloc(f->next, room * sizeof(*next));
	if (next)
		f->next = next;
	first = next ? realloc(f->first, room * sizeof(*first)) : NULL;
	if (!first)
		return -ENOMEM;
	if (!f->room)
		choose_key(f);
	f->first = first;
	f->room = room;
	for (uint32_t i = 0; i < room; i++)
		first[i] = NONE;
	for (uint32_t i = 0; i < *f->count; i++)
		link_in(f, i);
	return 0;
}

int viofs_forgotten_init(struct viofs_forgotten *f, struct fuse_forget_one *one, uint32_t *count,
			 uint32_t max)
{
	*f = (struct viofs_forgotten){ .one = one, .count = count, .max = max };
	return *count ? grow(f) : 0;
}

int viofs_forgotten_add(struct viofs_forgotten *f, const struct fuse_forget_one *one)
{
	uint32_t i = f->room ? f->first[chain_of(f, one->nodeid)] : NONE;
	int rc = 0;

	while (i != NONE && f->one[i].nodeid != one->nodeid)
		i = f->next[i];
	if (i != NONE) {
		f->one[i].nlookup += one->nlookup;
		return 0;
	}
	if (*f->count == f->max)
		return -ENOSPC;
	if (*f->count == f->room)
		rc = grow(f);
	if (rc)
		return rc;
	f->one[*f->count] = *one;
	link_in(f, *f->count);
	/* From here on a successor finds it. */
	VIOFS_WRITE_ONCE(*f->count, *f->count + 1);
	return 0;
}

const struct fuse_forget_one *viofs_forgotten_last(const struct viofs_forgotten *f, uint32_t n)
{
	assert(n <= *f->count);
	return f->one + *f->count - n;
}

static void give_back(struct viofs_forgotten *f)
{
	viofs_page_drop(f->one, f->room * sizeof(*f->one));
	free(f->next);
	free(f->first);
	f->next = f->first = NULL;
	f->room = 0;
}

void viofs_forgotten_drop(struct viofs_forgotten *f, uint32_t n)
{
	assert(n <= *f->count);
	while (n--) {
		uint32_t index = *f->count - 1;
		uint32_t *at = &f->first[chain_of(f, f->one[index].nodeid)];

		while (*at != index)
			at = &f->next[*at];
		*at = f->next[index];
		*f->count = index;
	}
	/* After a flood the memory goes back. */
	if (!*f->count && f->room > ROOM_MIN)
		give_back(f);
}

void viofs_forgotten_fini(struct viofs_forgotten *f)
{
	free(f->next);
	free(f->first);
	*f = (struct viofs_forgotten){ .max = 0 };
}
