/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_statm.h"
#include "schema/base/num.h"

#include <string.h>

enum { N_COLUMNS = 7 };

bool pid_statm_parse(struct process_values *values, const char *text, size_t len, uint64_t page_bytes)
{
	static const char *const columns[N_COLUMNS] = { "size", "resident", "shared", "text", "lib", "data",
		"dt" };
	struct span rest = { text, len }, line, word;
	uint64_t pages[N_COLUMNS], any = 0;

	if (!span_line(&rest, &line))
		return false;
	for (int i = 0; i < N_COLUMNS; i++) {
		if (!span_word(&line, &word) || !num_parse_whole(word.p, word.n, &pages[i]))
			return false;
		any |= pages[i];
	}
	if (!any)
		return true;
	for (int i = 0; i < N_COLUMNS; i++) {
		int id = metric_find(&process_metrics, METRIC_SOURCE_PID_STATM,
			(struct span) { columns[i], strlen(columns[i]) });
		uint64_t bytes;
		if (id >= 0 && !__builtin_mul_overflow(pages[i], page_bytes, &bytes))
			process_values_set(values, (enum process_metric)id, bytes);
	}
	return true;
}
