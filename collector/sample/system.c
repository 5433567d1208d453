/* SPDX-License-Identifier: MIT */
#include "collector/sample/system.h"

#include <stdlib.h>
#include <string.h>

#include "schema/base/clock.h"
#include "schema/base/kv.h"
#include "schema/base/num.h"
#include "schema/proc/system_files.h"

static const int64_t second_ns = 1000000000;

void sampler_sample_system(struct sampler *sampler)
{
	struct board_system *system = &sampler->system;

	if (system_files_read(sampler->root, SYSTEM_FILES_ALL, &system->values) < 0)
		sampler->failures++;
	struct rate_sample now = { .time_ns = clock_monotonic_ns() };
	for (unsigned i = 0; i < N_SYSTEM_RATES; i++) {
		unsigned id = metric_rate_metric(&system_metrics, i);
		if (!metric_has(system->values.present, id))
			continue;
		now.value[i] = system->values.value[id];
		now.present |= UINT32_C(1) << i;
	}
	if (!sampler->system_since_ns) {
		sampler->system_since_ns = now.time_ns;
		rate_track_init(&sampler->system_track, now.time_ns, &now);
	}
	rate_track_add(&sampler->system_track, &now);
	rate_track_rates(&sampler->system_track, &now, N_SYSTEM_RATES, system->rate);
	system->sampled_ns = clock_realtime_ns();
	board_write_system(sampler->board, system);
}

static int64_t btime_ns(const struct proc_root *root)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct span key, value;
	uint64_t seconds;

	if (proc_read(root->proc, "stat", &text) != PROC_OK)
		return 0;
	struct span rest = { text.data, text.len }, line;
	while (span_line(&rest, &line))
		if (span_word(&line, &key) && span_equals(key, "btime") && span_word(&line, &value) &&
			num_parse_whole(value.p, value.n, &seconds) && seconds < INT64_MAX / 1000000000)
			return (int64_t)seconds * second_ns;
	return 0;
}

int64_t system_boot_ns(const struct proc_root *root, uint64_t predecessor_ns)
{
	if (!root->real)
		return btime_ns(root);
	int64_t boot_ns = clock_realtime_ns() - clock_boottime_ns();
	int64_t apart = boot_ns - (int64_t)predecessor_ns;
	return predecessor_ns < INT64_MAX && llabs(apart) < second_ns ? (int64_t)predecessor_ns : boot_ns;
}
