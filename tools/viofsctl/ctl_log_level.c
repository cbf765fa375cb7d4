/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl log-level: which messages a daemon logs, while it runs. */
#include "ctl.h"
#include "daemon/control.h"

#include <stdio.h>
#include <string.h>

/* Return: the level that it has now, to be freed; NULL: it has said why not. */
static json_t *ask(const json_t *status, const char *level)
{
	const char *socket = json_string_value(json_object_get(status, "socket")), *wrong;
	char line[VIOFS_CONTROL_LINE];
	json_t *answer = NULL;
	int rc;

	if ((size_t)snprintf(line, sizeof(line), VIOFS_CONTROL_LOG_LEVEL "%s%s", level ? " " : "",
			     level ? level : "") >= sizeof(line)) {
		viofs_ctl_complain("A level is error, warning, info or debug.");
		return NULL;
	}
	rc = viofs_control_ask(socket, line, &answer);
	wrong = rc ? strerror(-rc) : json_string_value(json_object_get(answer, "error"));
	if (!wrong && !json_is_string(json_object_get(answer, "log_level")))
		wrong = "an answer without a level";
	if (!wrong)
		return answer;
	viofs_ctl_complain("%s: %s.", socket, wrong);
	json_decref(answer);
	return NULL;
}

int viofs_ctl_log_level(const char *mountpoint, const char *level, bool json)
{
	json_t *all = json_array(), *answer = NULL;
	int status = viofs_ctl_ask_all(mountpoint, VIOFS_CTL_INSIDE, all);

	if (json_array_size(all)) {
		answer = ask(json_array_get(all, 0), level);
		status = !answer;
	}
	json_decref(all);
	if (!answer)
		return status;
	if (json)
		return viofs_ctl_print_json(answer);
	if (!level)
		puts(json_string_value(json_object_get(answer, "log_level")));
	json_decref(answer);
	return 0;
}
