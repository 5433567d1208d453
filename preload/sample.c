/* SPDX-License-Identifier: MIT */
#include "preload/sample.h"

#include <string.h>

#include "preload/record.h"
#include "preload/stack.h"

enum {
	PROBES = 8,         /* places of the table of samplers a thread is looked for at */
	STEAL_PROBES = 256, /* samples that are looked at when none is free */
};

/* Numbers of samples: 0 is free, 1 being written. */
enum { NUMBER_BUSY = 1, NUMBER_FIRST = 2 };

static struct shadow_sample *sample_at(uint32_t index)
{
	return (struct shadow_sample *)(shim.base + SHADOW_SAMPLES_AT) + index;
}

/* xorshift64*, Vigna 2014. */
static uint64_t random_next(uint64_t *random)
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return *random * UINT64_C(0x2545f4914f6cdd1d);
}

/* -ln of (bits + 1) / 2^53. By ln m = 2 artanh((m - 1) / (m + 1)): the series is exact to 1e-9 for m < 2. */
static double minus_ln(uint64_t bits)
{
	uint64_t value = bits + 1;
	int high = 63 - __builtin_clzll(value);
	double m = (double)value / (double)(UINT64_C(1) << high), t = (m - 1) / (m + 1), square = t * t,
	       sum = 0;

	for (int k = 17; k >= 1; k -= 2)
		sum = sum * square + 1.0 / k;
	return (53 - high) * 0.69314718055994530942 - 2 * t * sum;
}

uint64_t sample_draw(uint64_t *random, uint64_t rate_bytes)
{
	double bytes = minus_ln(random_next(random) >> 11) * (double)rate_bytes;

	return bytes < 9e18 ? (uint64_t)bytes : INT64_MAX;
}

/* Spreads the seeds of threads, whose pointers differ in few bits (splitmix64, Steele 2014). */
static uint64_t random_seed(uint64_t value)
{
	value += UINT64_C(0x9e3779b97f4a7c15);
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	value ^= value >> 31;
	return value ? value : 1;
}

struct sampler *sample_thread(uintptr_t thread)
{
	struct sampler *first = sample_first(thread);

	for (unsigned probe = 0; probe < PROBES; probe++) {
		struct sampler *sampler =
			&shim_wiped.sampler[((size_t)(first - shim_wiped.sampler) + probe) % SAMPLERS];
		uintptr_t owner = atomic_load_explicit(&sampler->thread, memory_order_relaxed);

		if (!owner && atomic_compare_exchange_strong_explicit(&sampler->thread, &owner, thread,
				      memory_order_relaxed, memory_order_relaxed)) {
			sampler->random = random_seed(thread ^ shim.seed);
			return sampler;
		}
		if (owner == thread)
			return sampler;
	}
	return first;
}

/* Threads that share a sampler lose a count now and then, and are sampled a little less for it. */
bool sample_is_due(size_t size, uint64_t control)
{
	uintptr_t thread = sample_self();
	struct sampler *sampler = sample_thread(thread);

	if (sampler->key != sample_key(thread, control)) {
		sampler->key = sample_key(thread, control);
		sampler->left_bytes = sample_draw(&sampler->random, shadow_control_rate(control));
	}
	if (size > sampler->left_bytes)
		return true;
	sampler->left_bytes -= size;
	return false;
}

/* Free ones are a stack, whose head carries a count of changes so that an old head is not taken for the same.
 */
static bool free_pop(uint32_t *ret_index)
{
	uint64_t head = atomic_load_explicit(&shim.samples_free, memory_order_acquire), next;

	do {
		if (!(uint32_t)head)
			return false;
		next = (uint32_t)__atomic_load_n(
			       &sample_at((uint32_t)head - 1)->unused[0], __ATOMIC_RELAXED) |
		       ((head >> 32) + 1) << 32;
	} while (!atomic_compare_exchange_weak_explicit(
		&shim.samples_free, &head, next, memory_order_acquire, memory_order_acquire));
	*ret_index = (uint32_t)head - 1;
	return true;
}

static void free_push(uint32_t index)
{
	uint64_t head = atomic_load_explicit(&shim.samples_free, memory_order_relaxed), next;

	do {
		__atomic_store_n(&sample_at(index)->unused[0], (uint32_t)head, __ATOMIC_RELAXED);
		next = (index + 1) | ((head >> 32) + 1) << 32;
	} while (!atomic_compare_exchange_weak_explicit(
		&shim.samples_free, &head, next, memory_order_release, memory_order_relaxed));
}

/* One whose block was freed while the shim was off, so that nobody gave it back. */
static bool sample_steal(uint32_t *ret_index)
{
	for (unsigned probe = 0; probe < STEAL_PROBES; probe++) {
		uint32_t index =
			(uint32_t)atomic_fetch_add_explicit(&shim.samples_stolen, 1, memory_order_relaxed) %
			SHADOW_SAMPLES;
		struct shadow_sample *sample = sample_at(index);
		uint64_t number = atomic_load_explicit(&sample->number, memory_order_acquire), old = 0;
		_Atomic uint64_t *slot;

		if (number < NUMBER_FIRST)
			continue;
		slot = record_slot(sample->addr & SHADOW_ADDRESS_LAST, shim.granule_shift);
		if (slot)
			old = atomic_load_explicit(slot, memory_order_relaxed);
		if (shadow_slot_tag(old) == SHADOW_SAMPLED && shadow_slot_site(old) == index &&
			(old >> SHADOW_EPOCH_SHIFT & SHADOW_EPOCH_LAST) >=
				shadow_slot_epoch(
					atomic_load_explicit(&shim.header->attached, memory_order_relaxed)))
			continue;
		if (atomic_compare_exchange_strong_explicit(&sample->number, &number, NUMBER_BUSY,
			    memory_order_acquire, memory_order_relaxed)) {
			*ret_index = index;
			return true;
		}
	}
	return false;
}

static bool sample_take(uint32_t *ret_index)
{
	uint64_t used;

	if (free_pop(ret_index))
		return true;
	used = atomic_load_explicit(&shim.samples_used, memory_order_relaxed);
	while (used < SHADOW_SAMPLES)
		if (atomic_compare_exchange_weak_explicit(&shim.samples_used, &used, used + 1,
			    memory_order_relaxed, memory_order_relaxed)) {
			*ret_index = (uint32_t)used;
			return true;
		}
	return sample_steal(ret_index);
}

void sample_record(void *block, size_t size, uintptr_t caller, uint64_t control)
{
	struct sampler *sampler = sample_thread(sample_self());
	uint64_t stamp = atomic_load_explicit(&shim.header->stamp, memory_order_relaxed), number;
	uintptr_t addr = (uintptr_t)block;
	_Atomic uint64_t *slot = record_slot(addr, shim.granule_shift);
	struct shadow_sample *sample;
	uint32_t index;

	sampler->left_bytes = sample_draw(&sampler->random, shadow_control_rate(control));
	if (!block || (!slot && !(slot = record_cover(addr, size))))
		return;
	if (!sample_take(&index)) {
		atomic_fetch_add_explicit(&shim.header->samples_refused, 1, memory_order_relaxed);
		return;
	}
	sample = sample_at(index);
	number =
		atomic_fetch_add_explicit(&shim.header->samples_made, 1, memory_order_relaxed) + NUMBER_FIRST;
	atomic_store_explicit(&sample->number, NUMBER_BUSY, memory_order_relaxed);
	sample->addr = addr;
	sample->size = size;
	sample->rate = shadow_control_rate(control);
	sample->site = (uint32_t)(site_find(caller) >> SHADOW_SITE_SHIFT);
	atomic_fetch_add_explicit(sample_filter(addr), 1, memory_order_relaxed);
	atomic_store_explicit(slot,
		stamp | SHADOW_SAMPLED | (uint64_t)index << SHADOW_SITE_SHIFT |
			record_odd(addr, shim.granule_shift),
		memory_order_release);
	atomic_store_explicit(&sample->number, number, memory_order_release);
	if (shadow_control_mode(control) == SHADOW_STACK)
		stack_copy(index, number, sampler);
}

void sample_release(uintptr_t addr, uint32_t index)
{
	struct shadow_sample *sample = sample_at(index);
	uint64_t number = atomic_load_explicit(&sample->number, memory_order_relaxed);
	_Atomic uint32_t *filter = sample_filter(addr);

	if (atomic_load_explicit(filter, memory_order_relaxed))
		atomic_fetch_sub_explicit(filter, 1, memory_order_relaxed);
	if (number >= NUMBER_FIRST && sample->addr == addr &&
		atomic_compare_exchange_strong_explicit(
			&sample->number, &number, 0, memory_order_relaxed, memory_order_relaxed))
		free_push(index);
}

void sample_attribute(uint32_t index, uint32_t site)
{
	sample_at(index)->site = site;
}
