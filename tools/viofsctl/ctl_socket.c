/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl show vhost-user:PATH: what a back end offers. */
#include "ctl.h"
#include "daemon/control.h"
#include "daemon/status.h"
#include "fs/fs.h"
#include "attach/hold.h"
#include "attach/source.h"
#include "vhost/vhost_transport.h"

#include <limits.h>
#include <stdio.h>

static json_t *protocol_features(uint64_t taken)
{
	json_t *list = json_array();

	for (uint64_t bit = 1; bit; bit <<= 1)
		if (viofs_vhost_protocol_name(taken & bit))
			json_array_append_new(list, json_string(viofs_vhost_protocol_name(bit)));
	return list;
}

static void add_fs(json_t *o, const struct viofs_fs *fs)
{
	json_object_set_new(o, "tag", viofs_status_text(fs->tag));
	json_object_set_new(o, "features", viofs_status_features(fs->virtio->offered));
	json_object_set_new(o, "num_request_queues", json_integer(fs->num_request_queues));
	json_object_set_new(o, "queue_sizes", viofs_ctl_queue_sizes(fs));
	json_object_set_new(o, "note",
			    json_string("most back ends (virtiofsd) end when their front end goes, "
					"and this was one: start it again"));
}

/* Connects as its front end for a moment. Return: 0, or -errno with @err. */
static int probe(json_t *o, const struct viofs_source *s, struct viofs_err *err)
{
	struct viofs_virtio *virtio = NULL;
	struct viofs_vhost *v = NULL;
	struct viofs_fs *fs = NULL;
	struct viofs_hold hold;
	int rc;

	rc = viofs_hold_take_name(s->id, VIOFS_HOLD_SOCKET, 0, &hold, err);
	if (rc)
		return rc;
	rc = viofs_vhost_open(s->path, VIOFS_VHOST_TIMEOUT_MS, false, &v, err);
	if (!rc)
		rc = viofs_virtio_vhost_open(v, 0, &virtio, err);
	if (rc)
		viofs_vhost_close(v);
	else
		rc = viofs_fs_open(virtio, &fs, err);
	if (fs) {
		json_object_set_new(o, "protocol_features",
				    protocol_features(v->protocol_features));
		add_fs(o, fs);
		viofs_fs_close(fs);
	} else {
		viofs_virtio_close(virtio);
	}
	viofs_hold_release(&hold, NULL);
	return rc;
}

int viofs_ctl_show_socket(const struct viofs_source *s, const char *source, bool json)
{
	json_t *o = json_pack("{s:o, s:s}", "address", viofs_status_text(s->path), "transport",
			      "vhost-user"),
	       *status = NULL;
	struct viofs_err err;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), VIOFS_RUN_DIR "/%s" VIOFS_CONTROL_SUFFIX, s->id);
	if (!viofs_control_ask(path, VIOFS_CONTROL_STATUS, &status)) {
		json_object_set_new(o, "daemon", status);
	} else if (probe(o, s, &err)) {
		json_decref(o);
		return viofs_ctl_complain("%s: %s", source, err.text);
	}
	return viofs_ctl_print_device(o, json);
}
