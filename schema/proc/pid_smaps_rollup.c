/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_smaps_rollup.h"
#include "schema/base/num.h"

enum line { PSS, SHARED_DIRTY, PRIVATE_CLEAN, PRIVATE_DIRTY, PRIVATE_HUGETLB, N_LINES };

/* Sets the sum of `lines` (bits) where all are known: one that a cut took would make it too small. */
static void set_sum(struct process_values *values, enum process_metric id,
	const uint64_t bytes[static N_LINES], unsigned present, unsigned lines)
{
	uint64_t sum = 0;

	if ((present & lines) != lines)
		return;
	for (unsigned i = 0; i < N_LINES; i++) {
		if (lines >> i & 1 && __builtin_add_overflow(sum, bytes[i], &sum))
			return;
	}
	process_values_set(values, id, sum);
}

bool pid_smaps_rollup_parse(struct process_values *values, const char *text, size_t len)
{
	static const char *const names[N_LINES] = {
		[PSS] = "Pss",
		[SHARED_DIRTY] = "Shared_Dirty",
		[PRIVATE_CLEAN] = "Private_Clean",
		[PRIVATE_DIRTY] = "Private_Dirty",
		[PRIVATE_HUGETLB] = "Private_Hugetlb",
	};
	struct kv_cursor cursor = kv_begin_lines(text, len);
	struct span key, value;
	uint64_t bytes[N_LINES] = { 0 };
	unsigned present = 0;

	while (kv_next(&cursor, &key, &value)) {
		for (unsigned i = 0; i < N_LINES; i++) {
			if (span_equals(key, names[i]) && num_parse_kb(value.p, value.n, &bytes[i]))
				present |= 1u << i;
		}
	}
	set_sum(values, PROCESS_PSS, bytes, present, 1u << PSS);
	/* Pages of hugetlbfs are counted apart from the others. The file is younger (4.14) than the line
	 * (4.4). */
	set_sum(values, PROCESS_USS, bytes, present,
		1u << PRIVATE_CLEAN | 1u << PRIVATE_DIRTY | 1u << PRIVATE_HUGETLB);
	set_sum(values, PROCESS_DIRTY, bytes, present, 1u << PRIVATE_DIRTY | 1u << SHARED_DIRTY);
	return present & 1u << PSS;
}
