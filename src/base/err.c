/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An error's text. */
#include "base/err.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* A sequence of UTF-8 that is cut off lies beyond what is kept. */
#define ROOM (sizeof(((struct viofs_err *)0)->text) + 4)

/* Names and paths in the arguments have not been cleaned yet. */
static void put(struct viofs_err *err, const char *text)
{
	viofs_text_clean(VIOFS_TEXT_MESSAGE, text, err->text, sizeof(err->text));
}

int(viofs_err_set)(struct viofs_err *err, int rc, const char *fmt, ...)
{
	char text[ROOM];
	va_list ap;

	if (!err)
		return rc;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(err, text);
	err->fact = (uint16_t)strlen(err->text);
	err->remedy = VIOFS_REMEDY_NONE;
	return rc;
}

int(viofs_err_prefix)(struct viofs_err *err, int rc, const char *fmt, ...)
{
	char text[ROOM];
	size_t advice, len;
	va_list ap;
	int n;

	if (!err)
		return rc;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 3 >= sizeof(err->text))
		n = 0;
	advice = strlen(err->text) > err->fact ? strlen(err->text) - err->fact : 0;
	snprintf(text + n, sizeof(text) - (size_t)n, "%s%s", n ? ": " : "", err->text);
	put(err, text);
	len = strlen(err->text);
	err->fact = (uint16_t)(len - (advice < len ? advice : 0));
	return rc;
}

int(viofs_err_remedy)(struct viofs_err *err, int rc, enum viofs_remedy remedy)
{
	if (err)
		err->remedy = (uint16_t)remedy;
	return rc;
}

void viofs_err_advise(struct viofs_err *err, const char *const advice[VIOFS_REMEDIES])
{
	const char *sentence;

	if (!err || err->remedy == VIOFS_REMEDY_NONE || err->remedy >= VIOFS_REMEDIES)
		return;
	sentence = advice[err->remedy];
	if (err->fact >= sizeof(err->text))
		return;
	snprintf(err->text + err->fact, sizeof(err->text) - err->fact, "%s%s", sentence ? " " : "",
		 sentence ? sentence : "");
}
