/* SPDX-License-Identifier: MIT */
/* The rates of one process: when it needs a track, what goes into it, and when they must be computed anew. */
#include <stdlib.h>
#include <string.h>

#include "collector/sample/sampler.h"

static const int64_t second_ns = 1000000000;

static struct rate_sample sample_of(
	const struct sampler *sampler, const struct process_values *values, int64_t time_ns)
{
	struct rate_sample sample = { .time_ns = time_ns };
	for (unsigned i = 0; i < N_PROCESS_RATES; i++) {
		unsigned id = sampler->rate_metric[i];
		if (!metric_has(values->present, id))
			continue;
		sample.value[i] = values->value[id];
		sample.present |= UINT32_C(1) << i;
	}
	return sample;
}

/*
 * When the rates of a process with a track are due again if it stays still: at each tick while the short
 * windows hold a change, then as rarely as the samples of the long windows are apart.
 */
static int64_t due_again_ns(int64_t still_ns, int64_t now_ns)
{
	if (still_ns > 66 * second_ns)
		return now_ns + 10 * second_ns;
	return still_ns > 11 * second_ns ? now_ns + 3 * second_ns : now_ns;
}

static bool begin_track(struct process *process, const struct rate_sample *old, int64_t stat_ns_before)
{
	process->track = malloc(sizeof(*process->track));
	if (!process->track)
		return false;
	/* Its values stood still, as far as was looked: of faults that is until stat was read. */
	struct rate_sample base = *old;
	base.time_ns = stat_ns_before;
	rate_track_init(process->track, process->still_since_ns, &base);
	return true;
}

/* Faults are read more rarely than memory: what was found late happened since the last look. */
static void spread_faults(const struct sampler *sampler, struct process *process,
	const struct rate_sample *old, const struct rate_sample *now, int64_t stat_ns_before)
{
	for (unsigned i = 0; i < N_PROCESS_RATES; i++)
		if (process_metrics.rows[sampler->rate_metric[i]].source == METRIC_SOURCE_PID_STAT &&
			(old->present & now->present) >> i & 1 && old->value[i] != now->value[i])
			rate_track_spread(process->track, i, stat_ns_before, old->value[i], now->time_ns,
				now->value[i]);
}

bool sampler_update_rates(struct sampler *sampler, struct process *process,
	const struct process_values *before, int64_t stat_ns_before, int64_t now_ns)
{
	struct rate_sample old = sample_of(sampler, before, process->sample_ns);
	struct rate_sample now = sample_of(sampler, &process->shown.values, now_ns);
	bool moved = old.present != now.present || memcmp(old.value, now.value, sizeof(old.value)) != 0;
	int64_t *due_ns = process_due_ns(&sampler->table, process);

	if (!moved && now_ns < *due_ns)
		return false;
	if (moved && !process->track && !begin_track(process, &old, stat_ns_before)) {
		sampler->failures++;
		return false;
	}
	if (moved) {
		rate_track_add(process->track, &old); /* it may not have been told of every tick */
		process->still_since_ns = now_ns;
		if (stat_ns_before < process->sample_ns)
			spread_faults(sampler, process, &old, &now, stat_ns_before);
	}
	if (process->track && now_ns - process->still_since_ns > rate_forget_ns()) {
		free(process->track);
		process->track = NULL;
	}
	if (!process->track) {
		*due_ns = rate_still(
			process->still_since_ns, now_ns, now.present, N_PROCESS_RATES, process->shown.rate);
		return true;
	}
	rate_track_add(process->track, &now);
	rate_track_rates(process->track, &now, N_PROCESS_RATES, process->shown.rate);
	*due_ns = due_again_ns(now_ns - process->still_since_ns, now_ns);
	return true;
}
