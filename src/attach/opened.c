/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking a device and giving it back. */
#include "attach/opened.h"

#include <string.h>

int viofs_opened_hold(struct viofs_opened *o, const struct viofs_source *s, const char *name,
		      int wait_ms, struct viofs_err *err)
{
	int rc;

	if (viofs_source_is_function(s))
		return viofs_hold_take(&s->function, wait_ms, &o->hold, err);
	rc = viofs_hold_take_name(s->id, s->transport->held, wait_ms, &o->hold, err);
	return rc ? viofs_err_prefix(err, rc, "%s", name) : 0;
}

int viofs_opened_open(struct viofs_opened *o, const struct viofs_source *s,
		      const struct viofs_attach_options *options, struct viofs_err *err)
{
	return viofs_attach_open(s, options, &o->fs, err);
}

int viofs_opened_start(struct viofs_opened *o, const struct viofs_opened_memory *memory,
		       struct viofs_err *err)
{
	size_t sizes[VIOFS_ARENA_SECTIONS];
	int rc;

	memcpy(sizes, memory->sizes, sizeof(sizes));
	viofs_fs_arena_sizes(o->fs, sizes);
	rc = viofs_arena_new(sizes, !memory->small_pages, &o->arena, err);
	if (rc)
		return rc;
	if (memory->not_for_children)
		viofs_arena_keep_from_children(o->arena);
	rc = viofs_attach_map(o->fs, o->arena, err);
	return rc ? rc : viofs_fs_start(o->fs, o->arena, err);
}

int viofs_opened_let_go(struct viofs_opened *o)
{
	int rc = viofs_attach_close(o->fs, o->arena);

	o->fs = NULL;
	return rc;
}

void viofs_opened_halt(struct viofs_opened *o, int timeout_ms)
{
	/* Otherwise the other side has mapped the memory itself, and halting changes nothing. */
	if (!o->fs->virtio->mapper->by_file)
		viofs_virtio_halt(o->fs->virtio, timeout_ms, false, NULL);
}

void viofs_opened_drop_dma(struct viofs_opened *o)
{
	o->fs->virtio->ops->drop_dma(o->fs->virtio);
	viofs_arena_drop_fds(o->arena);
}

void viofs_opened_close_copies(struct viofs_opened *o)
{
	if (o->fs)
		o->fs->virtio->ops->close_copy(o->fs->virtio);
	o->fs = NULL;
}

int viofs_opened_close(struct viofs_opened *o, struct viofs_err *err)
{
	if (o->fs)
		viofs_opened_let_go(o);
	viofs_arena_free(o->arena);
	o->arena = NULL;
	return viofs_hold_release(&o->hold, err);
}
