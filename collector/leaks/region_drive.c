/* SPDX-License-Identifier: MIT */
#include "collector/leaks/region_drive.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "schema/proc/pid_stat.h"

static uint64_t stamp_of(uint32_t epoch)
{
	return (uint64_t)epoch << SHADOW_EPOCH_SHIFT;
}

/* What was written there by us, a predecessor, or the process, who may have scribbled. */
static uint32_t epoch_of(uint64_t stamp)
{
	uint64_t epoch = stamp >> SHADOW_EPOCH_SHIFT;
	return epoch < SHADOW_EPOCH_LAST ? (uint32_t)epoch : SHADOW_EPOCH_LAST;
}

static uint32_t epoch_now(const struct region *region, int64_t now_boot_ns)
{
	return shadow_epoch_at(region_age_ms(region, now_boot_ns));
}

static bool owner_lives(const struct proc_root *root, uint64_t owner)
{
	CLEANUP_CLOSE int dir = -1;
	struct pid_stat stat;
	char text[1024];
	size_t len;

	return proc_open_pid(root, shadow_owner_pid(owner), &dir) == PROC_OK &&
	       proc_read_short(dir, "stat", text, sizeof(text), &len) == PROC_OK &&
	       pid_stat_parse(&stat, text, len) && !pid_stat_ended(stat.state) &&
	       shadow_owner(stat.pid, stat.start_ticks) == owner;
}

/* As it goes on from a predecessor, or from what the shim was told by its environment. */
static void take(struct region *region)
{
	struct shadow_header *shared = region->shared;
	uint32_t epoch = epoch_of(atomic_load_explicit(&shared->stamp, memory_order_relaxed));

	region->ours = true;
	region->epoch = epoch;
	if (shadow_control_mode(atomic_load_explicit(&shared->control, memory_order_relaxed)) != SHADOW_OFF &&
		!atomic_load_explicit(&shared->attached_boot_ns, memory_order_relaxed))
		atomic_store_explicit(
			&shared->attached_boot_ns, region->fixed.created_boot_ns, memory_order_relaxed);
}

int region_own(struct region *region, const struct proc_root *root, uint64_t self)
{
	uint64_t owner = atomic_load_explicit(&region->shared->owner, memory_order_acquire);

	region->ours = false;
	if (owner != self && owner && owner_lives(root, owner))
		return REGION_OTHERS;
	if (owner != self && !atomic_compare_exchange_strong(&region->shared->owner, &owner, self))
		return REGION_OTHERS; /* one that was quicker; it is looked at again */
	take(region);
	return REGION_DRIVEN;
}

void region_disown(struct region *region, uint64_t self)
{
	uint64_t owner = self;

	if (region->ours)
		atomic_compare_exchange_strong(&region->shared->owner, &owner, 0);
	region->ours = false;
}

/* The clock never goes back; where it was scribbled it is put right. */
static void stamp(struct region *region, uint32_t epoch)
{
	if (epoch > region->epoch)
		region->epoch = epoch;
	atomic_store_explicit(&region->shared->stamp, stamp_of(region->epoch), memory_order_relaxed);
}

void region_tick(struct region *region, int64_t now_boot_ns)
{
	if (region->ours && region->ready && region->end == REGION_LIVES &&
		shadow_control_mode(atomic_load_explicit(&region->shared->control, memory_order_relaxed)) !=
			SHADOW_OFF)
		stamp(region, epoch_now(region, now_boot_ns));
}

void region_read_driving(const struct region *region, struct region_driving *ret)
{
	const struct shadow_header *shared = region->shared;
	uint64_t control = atomic_load_explicit(&shared->control, memory_order_acquire),
		 attached_ns = atomic_load_explicit(&shared->attached_boot_ns, memory_order_relaxed);
	uint32_t mode = shadow_control_mode(control),
		 driver = atomic_load_explicit(&shared->driver, memory_order_relaxed);

	*ret = (struct region_driving) {
		.mode = mode < N_SHADOW_MODES ? mode : SHADOW_OFF,
		.attached_epoch = epoch_of(atomic_load_explicit(&shared->attached, memory_order_relaxed)),
		.epoch = epoch_of(atomic_load_explicit(&shared->stamp, memory_order_relaxed)),
		.driver = driver <= SHADOW_BY_COLLECTOR ? driver : SHADOW_BY_NOBODY,
	};
	if (ret->mode == SHADOW_SAMPLE || ret->mode == SHADOW_STACK)
		ret->rate_bytes = shadow_control_rate(control);
	if (ret->mode != SHADOW_OFF)
		ret->attached_boot_ns = attached_ns <= INT64_MAX ? (int64_t)attached_ns : 0;
}

static void attach(struct region *region, int64_t now_boot_ns)
{
	struct shadow_header *shared = region->shared;
	uint32_t epoch = epoch_now(region, now_boot_ns);

	if (epoch <= region->epoch)
		epoch = region->epoch < SHADOW_EPOCH_LAST ? region->epoch + 1 : SHADOW_EPOCH_LAST;
	stamp(region, epoch);
	atomic_store_explicit(&shared->attached, stamp_of(epoch), memory_order_relaxed);
	atomic_store_explicit(&shared->attached_boot_ns, (uint64_t)now_boot_ns, memory_order_relaxed);
}

int region_set_mode(struct region *region, enum shadow_mode mode, uint64_t rate_bytes, int64_t now_boot_ns)
{
	struct shadow_header *shared = region->shared;

	if (!region->ready || mode >= N_SHADOW_MODES || rate_bytes >> (64 - SHADOW_RATE_SHIFT))
		return -EINVAL;
	if (region->end != REGION_LIVES)
		return -ESRCH;
	if (!region->ours)
		return REGION_OTHERS;
	if (mode != SHADOW_OFF && atomic_load(&region->giving_back))
		return -EBUSY;
	uint64_t before = atomic_load_explicit(&shared->control, memory_order_relaxed), control = SHADOW_OFF;
	uint32_t was = shadow_control_mode(before);
	bool samples = mode == SHADOW_SAMPLE || mode == SHADOW_STACK;

	if (mode != SHADOW_OFF)
		control = shadow_control(mode, !samples ? 0 : rate_bytes ? rate_bytes : SHADOW_SAMPLE_BYTES);
	if (mode != SHADOW_OFF && was == SHADOW_OFF)
		attach(region, now_boot_ns);
	else if (mode != SHADOW_OFF && mode != SHADOW_EXACT && (was == SHADOW_EXACT || before & SHADOW_MIXED))
		control |= SHADOW_MIXED;
	atomic_store_explicit(&shared->driver, SHADOW_BY_COLLECTOR, memory_order_relaxed);
	/* After what it begins with. */
	atomic_store_explicit(&shared->control, control, memory_order_release);
	return REGION_DRIVEN;
}

int region_give_back(const struct region *region)
{
	const struct shadow_header *shared = region->shared;

	if (shadow_control_mode(atomic_load_explicit(&shared->control, memory_order_acquire)) != SHADOW_OFF)
		return -EBUSY;
	return fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)SHADOW_SLOTS_AT,
		       (off_t)(region->file_bytes - SHADOW_SLOTS_AT))
		       ? -errno
		       : 0;
}
