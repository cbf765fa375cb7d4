/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's options for docs.py: one a line, with tabs between the parts. */
#include "daemon/option_table.h"

int main(void)
{
	const struct viofs_option *table;
	size_t count = viofs_option_table(&table);
	char min[24], max[24];

	for (size_t i = 0; i < count; i++) {
		const struct viofs_option *o = &table[i];
		bool sizes = o->kind == VIOFS_OPTION_SIZE;

		printf("%s\t%s\t%s\t", o->name, o->alias ? o->alias : "",
		       o->standard ? o->standard : "");
		if (o->max && sizes)
			printf("%s to %s", viofs_option_size(o->min, min, sizeof(min)),
			       viofs_option_size(o->max, max, sizeof(max)));
		else if (o->max)
			printf("%llu to %llu", (unsigned long long)o->min,
			       (unsigned long long)o->max);
		putchar('\t');
		for (const struct viofs_option_word *w = o->words; w && w->name; w++)
			printf("%s%s", w == o->words ? "" : " ", w->name);
		putchar('\n');
	}
	return 0;
}
