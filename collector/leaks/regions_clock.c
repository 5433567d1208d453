/* SPDX-License-Identifier: MIT */
/* What is done for all regions once a tick. */
#include "collector/leaks/region_drive.h"
#include "collector/leaks/regions_inner.h"
#include "schema/base/clock.h"

enum { VERIFY_TICKS = 2 };

void regions_note_end(struct regions *regions, uint32_t pid, uint64_t start_ticks, int64_t end_boot_ns)
{
	regions->ends[regions->n_ends++ % REGIONS_ENDS] = (struct regions_end) { pid, start_ticks, end_boot_ns };
}

/* Of those that ended since the last tick, before the sampler lets go of them. */
static void note_ends(struct regions *regions)
{
	const struct remains_batch *batch = &regions->options.sampler->remains;
	int64_t now_ns = clock_boottime_ns();

	for (size_t i = 0; i < batch->n; i++)
		regions_note_end(regions, batch->remains[i].last.pid, batch->remains[i].last.start_ticks, now_ns);
}

/* Where no kernel tells of execs, and no pidfd of the end. */
static void look_at_process(struct region_state *state)
{
	const struct region *region = state->region;
	const struct sampler *sampler = state->regions->options.sampler;
	const struct process *process = process_find(&sampler->table, region->process.pid);

	if (state->pidfd < 0 && (!process || process->shown.start_ticks != region->process.start_ticks))
		region_state_end(state, REGION_DIED);
	else if (!sampler->trusts_births)
		region_state_check_image(state);
}

static void tick(struct region_state *state, int64_t now_boot_ns)
{
	struct region *region = state->region;

	state->ticks++;
	region_state_settle(state);
	if (state->released || !region->ready)
		return;
	if (region->end == REGION_LIVES)
		look_at_process(state);
	if (state->released)
		return;
	if (region->end != REGION_LIVES) {
		if (!state->told_ended &&
			(regions_name(state->regions, region) || !state->name_ticks || !--state->name_ticks))
			region_state_tell_end(state);
		return;
	}
	if (!region->ours)
		region_state_own(state);
	region_tick(region, now_boot_ns);
	if (!state->verified && !state->verifying && state->ticks >= VERIFY_TICKS)
		regions_verify(state);
}

void regions_tick(struct regions *regions)
{
	int64_t now_boot_ns = clock_boottime_ns();
	struct region_state *state;

	regions_sweep(regions);
	note_ends(regions);
	TAILQ_FOREACH(state, &regions->all, all)
	tick(state, now_boot_ns);
	regions_sweep(regions);
	regions_search(regions);
	regions->hold_due = true;
	regions_hold(regions);
}
