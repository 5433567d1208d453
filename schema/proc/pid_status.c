/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_status.h"
#include "schema/base/num.h"

/* The first word of a value as a number of 32 bits; what does not fit leaves *number as it was. */
static void set_u32(uint32_t *number, struct span value)
{
	struct span word;
	uint64_t wide;

	if (span_word(&value, &word) && num_parse_whole(word.p, word.n, &wide) && wide <= UINT32_MAX)
		*number = (uint32_t)wide;
}

/* The lines that are not metrics. */
static void set_identity(struct pid_status *status, struct span key, struct span value)
{
	if (span_equals(key, "Tgid"))
		set_u32(&status->tgid, value);
	else if (span_equals(key, "Uid"))
		set_u32(&status->uid, value);
	else if (span_equals(key, "Gid"))
		set_u32(&status->gid, value);
	else if (span_equals(key, "Threads"))
		set_u32(&status->threads, value);
	else if (span_equals(key, "State") && value.n && (value.p[0] | 0x20) >= 'a' &&
		 (value.p[0] | 0x20) <= 'z')
		status->state = value.p[0];
}

void pid_status_parse(struct pid_status *status, const char *text, size_t len)
{
	struct kv_cursor cursor = kv_begin_lines(text, len);
	struct span key, value;

	while (kv_next(&cursor, &key, &value)) {
		int id = metric_find(&process_metrics, METRIC_SOURCE_PID_STATUS, key);
		uint64_t bytes;
		if (id < 0)
			set_identity(status, key, value);
		else if (num_parse_kb(value.p, value.n, &bytes))
			process_values_set(&status->values, (enum process_metric)id, bytes);
	}
}
