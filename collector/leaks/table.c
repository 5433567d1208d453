/* SPDX-License-Identifier: MIT */
#include "collector/leaks/table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/base/array.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"

enum {
	CHUNK_WORDS = 4096, /* slots read at once */
	BATCH = 256,        /* blocks handed over at once */
	TRIES = 8,          /* of a slot that is cut by a change */
};

/* When the region was made, by the wall clock as it is set now. What is less than a step is none: two clocks
 * are not read at once. And a step is taken roughly, so that times are the same with each reading. */
static uint64_t began_real_ns(const struct shadow_header *header)
{
	const int64_t step_ns = 1000000000, roughly_ns = 10000000;
	uint64_t age_ns = (uint64_t)clock_boottime_ns() - header->created_boot_ns;
	uint64_t by_now_ns = (uint64_t)clock_realtime_ns() - age_ns;
	int64_t off_ns = (int64_t)(by_now_ns - header->created_real_ns);

	if (off_ns > -step_ns && off_ns < step_ns)
		return header->created_real_ns;
	return header->created_real_ns + (uint64_t)(off_ns / roughly_ns * roughly_ns);
}

int table_read_head(int fd, struct table_head *ret_head, const char **ret_fault)
{
	struct shadow_header header;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	ssize_t n = pread(fd, &header, sizeof(header), 0);
	if (n < 0)
		return -errno;
	*ret_fault = n == sizeof(header) ? shadow_header_fault(&header, (uint64_t)st.st_size) : "too short";
	if (*ret_fault)
		return n == sizeof(header) && header.state != SHADOW_READY ? -EAGAIN : -EPROTO;

	uint32_t mode = shadow_control_mode(header.control);
	uint64_t leaves = header.leaves_used < header.leaves ? header.leaves_used : header.leaves;
	*ret_head = (struct table_head) {
		.granule_shift = header.granule_shift,
		.leaves = (uint32_t)leaves,
		.mode = mode < N_SHADOW_MODES ? mode : SHADOW_OFF,
		.mixed = header.control & SHADOW_MIXED,
		.origin = header.origin,
		.rate_bytes = shadow_control_rate(header.control),
		.first_epoch = shadow_slot_epoch(header.attached),
		.stamp_epoch = shadow_slot_epoch(header.stamp),
		.created_boot_ns = header.created_boot_ns,
		.created_real_ns = header.created_real_ns,
		.began_real_ns = began_real_ns(&header),
		.attached_boot_ns = header.attached_boot_ns,
		.mapped_bytes = header.mapped_bytes,
		.sites_used = header.sites_used < SHADOW_SITES ? (uint32_t)header.sites_used : SHADOW_SITES,
		.modules_used =
			header.modules_used < SHADOW_MODULES ? (uint32_t)header.modules_used : SHADOW_MODULES,
		.names_used = header.names_used < SHADOW_NAMES ? (uint32_t)header.names_used : SHADOW_NAMES,
		.sites_refused = header.sites_refused,
		.uncovered_blocks = header.uncovered_blocks,
		.uncovered_bytes = header.uncovered_bytes,
		.samples_refused = header.samples_refused,
		.stacks_dropped = header.stacks_dropped,
		.older_freed = header.older_freed,
	};
	return 0;
}

int64_t table_epoch_ns(const struct table_head *head, uint32_t epoch)
{
	return (int64_t)(head->began_real_ns + shadow_epoch_ms(epoch) * 1000000);
}

bool table_epoch_before(const struct table_head *head, int64_t boot_ns, uint64_t age_ms, uint32_t *ret_epoch)
{
	uint64_t now_ns = (uint64_t)boot_ns, age_ns;

	if (now_ns < head->created_boot_ns || __builtin_mul_overflow(age_ms, UINT64_C(1000000), &age_ns) ||
		now_ns - head->created_boot_ns < age_ns)
		return false;
	*ret_epoch = shadow_epoch_at((now_ns - head->created_boot_ns - age_ns) / 1000000);
	return true;
}

/* --- reading what is there and no hole --- */

/* Moves *at on to the next data before end; false where only holes follow. */
static bool find_data(int fd, uint64_t end, uint64_t *at)
{
	off_t data = *at < end ? lseek(fd, (off_t)*at, SEEK_DATA) : -1;

	if (data < 0 || (uint64_t)data >= end)
		return false;
	*at = (uint64_t)data;
	return true;
}

/* The next stretch of data in [*at, end); false where only holes follow. */
static bool next_data(int fd, uint64_t end, uint64_t *at, uint64_t *ret_end)
{
	if (!find_data(fd, end, at))
		return false;
	off_t hole = lseek(fd, (off_t)*at, SEEK_HOLE);
	*ret_end = hole < 0 || (uint64_t)hole > end ? end : (uint64_t)hole;
	return *ret_end > *at;
}

/* As many bytes as there are; the rest becomes zero, as a hole is. */
static int read_at(int fd, void *to, size_t n, uint64_t at)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = pread(fd, (char *)to + done, n - done, (off_t)(at + done));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	memset((char *)to + done, 0, n - done);
	return 0;
}

/* Into zeroed memory. */
static int read_sparse(int fd, void *to, size_t n, uint64_t from)
{
	uint64_t at = from, end;
	int r = 0;

	while (!r && next_data(fd, from + n, &at, &end)) {
		r = read_at(fd, (char *)to + (at - from), end - at, at);
		at = end;
	}
	return r;
}

/* --- blocks --- */

/* A sampled block, whose sample is read after all slots: one that is not its slot's any more was freed. */
struct pending {
	uint64_t addr;
	uint32_t sample, epoch;
	bool kept;
};

struct walk {
	int fd;
	const struct table_head *head;
	table_block_fn *fn;
	void *ctx;
	uint64_t *words; /* CHUNK_WORDS, and one more for an extension */
	struct pending *pending;
	size_t n_pending, cap_pending;
	size_t n;
	struct table_block block[BATCH];
};

static int flush(struct walk *walk)
{
	size_t n = walk->n;

	walk->n = 0;
	return n ? walk->fn(walk->ctx, walk->block, n) : 0;
}

/* Where the next block goes. It is made there: made elsewhere and copied takes the walk three times as long,
 * for what was just stored by the word is loaded by the vector. */
static int make_room(struct walk *walk, struct table_block **ret_block)
{
	int r = walk->n == BATCH ? flush(walk) : 0;

	*ret_block = &walk->block[walk->n];
	return r;
}

static int remember(struct walk *walk, uint64_t addr, uint64_t slot)
{
	struct pending *made = array_push(&walk->pending, &walk->n_pending, &walk->cap_pending);
	if (!made)
		return -ENOMEM;
	*made = (struct pending) { addr, shadow_slot_site(slot), shadow_slot_epoch(slot),
		slot & SHADOW_KEPT };
	return 0;
}

static bool is_live(const struct walk *walk, uint64_t slot)
{
	return shadow_slot_tag(slot) == SHADOW_BLOCK && shadow_slot_epoch(slot) >= walk->head->first_epoch;
}

/* The size of a block that has it in the next slot. A pair that does not fit together was cut by a change: it
 * is read again. False where the block is gone, or nothing fits. */
static bool read_far(struct walk *walk, uint64_t at, uint64_t *slot, uint64_t extension, uint64_t *ret_size)
{
	uint64_t pair[2] = { *slot, extension };

	for (int tries = 0;; tries++) {
		if (!is_live(walk, pair[0]))
			return false;
		*slot = pair[0];
		*ret_size = shadow_slot_size(pair[0]);
		if (*ret_size != SHADOW_SIZE_FAR)
			return true;
		*ret_size = shadow_extension_size(pair[1]);
		if (shadow_slot_tag(pair[1]) == SHADOW_EXTENSION && *ret_size <= SHADOW_ADDRESS_LAST)
			return true;
		if (tries == TRIES || read_at(walk->fd, pair, sizeof(pair), at))
			return false;
	}
}

/* Words of a leaf from index on, with one more behind them. */
static int take_words(struct walk *walk, uint64_t region, uint64_t index, size_t n, uint64_t at)
{
	const uint32_t shift = walk->head->granule_shift, first = walk->head->first_epoch;
	struct table_block *block;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		uint64_t slot = walk->words[i], size;

		if (!slot || (slot & SHADOW_TAG_MASK) == SHADOW_EXTENSION ||
			(slot & SHADOW_TAG_MASK) == SHADOW_NONE || shadow_slot_epoch(slot) < first)
			continue;
		if (shadow_slot_tag(slot) == SHADOW_SAMPLED) {
			r = remember(walk, shadow_slot_addr(shift, region, index + i, slot), slot);
			continue;
		}
		size = shadow_slot_size(slot);
		if (size == SHADOW_SIZE_FAR && !read_far(walk, at + i * 8, &slot, walk->words[i + 1], &size))
			continue;
		r = make_room(walk, &block);
		if (r)
			break;
		*block = (struct table_block) {
			.addr = shadow_slot_addr(shift, region, index + i, slot),
			.size = size,
			.site = shadow_slot_site(slot),
			.epoch = shadow_slot_epoch(slot),
			.sample = TABLE_NO_SAMPLE,
			.kept = slot & SHADOW_KEPT,
			.weight_bytes = size,
			.weight_blocks = 1,
		};
		walk->n++;
	}
	return r;
}

static int walk_leaf(struct walk *walk, uint64_t leaf, uint64_t region)
{
	const uint64_t begin = shadow_leaf_at(walk->head->granule_shift, leaf);
	const uint64_t last = begin + shadow_leaf_granules(walk->head->granule_shift) * 8;
	uint64_t at = begin;
	int r = 0;

	/* A chunk is small enough to be read whole, holes in it too, which read as zero: to ask where the
	 * data end would look at each of its pages. They begin at whole slots. */
	while (!r && find_data(walk->fd, last, &at)) {
		at -= at % 8;
		size_t n = (last - at) / 8 < CHUNK_WORDS ? (size_t)((last - at) / 8) : CHUNK_WORDS;
		r = read_at(walk->fd, walk->words, (n + 1) * 8, at);
		/* The shim does not look at what the allocator gave: at address 0 is what it did not give. */
		if (!region && at == begin)
			walk->words[0] = 0;
		if (!r)
			r = take_words(walk, region, (at - begin) / 8, n, at);
		at += n * 8;
	}
	return r;
}

/* Of a block chosen with the chance 1 - exp(-size / rate). */
static void weigh(struct table_block *block, uint64_t rate_bytes)
{
	block->weight_bytes = block->size;
	block->weight_blocks = 1;
	if (!rate_bytes || !block->size)
		return;
	double chance = -expm1(-(double)block->size / (double)rate_bytes);
	double blocks = 1 / chance, bytes = (double)block->size / chance;
	/* What no honest sample stands for is the process's own doing. */
	if (!(bytes < (double)(UINT64_C(1) << 60) && blocks < (double)(UINT64_C(1) << 60)))
		return;
	block->weight_bytes = (uint64_t)(bytes + 0.5);
	block->weight_blocks = (uint64_t)(blocks + 0.5);
}

static int take_pending(struct walk *walk)
{
	if (!walk->n_pending)
		return 0;
	CLEANUP_FREE struct shadow_sample *sample = calloc(SHADOW_SAMPLES, sizeof(*sample));
	if (!sample)
		return -ENOMEM;
	int r = read_sparse(walk->fd, sample, SHADOW_SAMPLES * sizeof(*sample), SHADOW_SAMPLES_AT);

	for (size_t i = 0; !r && i < walk->n_pending; i++) {
		const struct pending *pending = &walk->pending[i];
		const struct shadow_sample *of = &sample[pending->sample];

		if (of->number < 2 || of->addr != pending->addr || of->size > SHADOW_ADDRESS_LAST)
			continue;
		struct table_block *block;
		r = make_room(walk, &block);
		if (r)
			break;
		*block = (struct table_block) {
			.addr = pending->addr,
			.size = of->size,
			.site = of->site < SHADOW_SITES ? of->site : 0,
			.epoch = pending->epoch,
			.sample = pending->sample,
			.number = of->number,
			.verdict =
				(uint32_t)of->stack == (uint32_t)of->number ? (uint32_t)(of->stack >> 32) : 0,
			.kept = pending->kept,
		};
		weigh(block, of->rate);
		walk->n++;
	}
	return r;
}

int table_each_block(int fd, const struct table_head *head, table_block_fn *fn, void *ctx)
{
	CLEANUP_FREE uint64_t *leaf = calloc(SHADOW_LEAVES, sizeof(*leaf));
	CLEANUP_FREE struct walk *walk = malloc(sizeof(*walk));
	CLEANUP_FREE uint64_t *words = malloc((CHUNK_WORDS + 1) * sizeof(*words));
	if (!leaf || !walk || !words)
		return -ENOMEM;
	walk->fd = fd;
	walk->head = head;
	walk->fn = fn;
	walk->ctx = ctx;
	walk->words = words;
	walk->pending = NULL;
	walk->n = walk->n_pending = walk->cap_pending = 0;

	int r = read_sparse(fd, leaf, head->leaves * sizeof(*leaf), SHADOW_LEAVES_AT);
	for (uint32_t i = 0; !r && i < head->leaves; i++)
		if (leaf[i] && shadow_leaf_region(leaf[i]) <= SHADOW_REGION_LAST)
			r = walk_leaf(walk, i, shadow_leaf_region(leaf[i]));
	if (!r)
		r = take_pending(walk);
	if (!r)
		r = flush(walk);
	free(walk->pending);
	return r;
}

/* --- places --- */

int table_read_places(int fd, struct table_places *ret_places)
{
	struct table_head head;
	const char *fault;
	int r = table_read_head(fd, &head, &fault);

	if (r)
		return r;
	struct table_places places = { .n_modules = head.modules_used, .n_names = head.names_used };
	places.site = calloc(SHADOW_SITES, sizeof(*places.site));
	places.module = calloc((size_t)places.n_modules + 1, sizeof(*places.module));
	places.name = calloc((size_t)places.n_names + 1, sizeof(*places.name));
	r = places.site && places.module && places.name ? 0 : -ENOMEM;
	if (!r)
		r = read_sparse(fd, places.site, SHADOW_SITES * sizeof(*places.site), SHADOW_SITES_AT);
	if (!r)
		r = read_sparse(
			fd, places.module, places.n_modules * sizeof(*places.module), SHADOW_MODULES_AT);
	if (!r)
		r = read_sparse(fd, places.name, places.n_names * sizeof(*places.name), SHADOW_NAMES_AT);
	if (r) {
		table_places_deinit(&places);
		return r;
	}
	for (uint32_t i = 0; i < places.n_modules; i++) {
		struct shadow_module *module = &places.module[i];
		module->path[sizeof(module->path) - 1] = '\0';
		if (module->build_id_len > SHADOW_BUILD_ID_MAX)
			module->build_id_len = 0;
	}
	for (uint32_t i = 0; i < places.n_names; i++)
		places.name[i].text[SHADOW_NAME_BYTES - 1] = '\0';
	*ret_places = places;
	return 0;
}

void table_places_deinit(struct table_places *places)
{
	free(places->site);
	free(places->module);
	free(places->name);
	*places = (struct table_places) { 0 };
}

const struct shadow_module *table_site_module(const struct table_places *places, uint32_t site)
{
	if (!site || places->site[site].key & SHADOW_SITE_NAMED)
		return NULL;
	uint32_t number = shadow_site_module(places->site[site].about);

	if (!number || number > places->n_modules || places->module[number - 1].ready != 1)
		return NULL;
	return &places->module[number - 1];
}

uint64_t table_site_caller(const struct table_places *places, uint32_t site)
{
	uint64_t key = places->site[site].key;

	return !site || key & SHADOW_SITE_NAMED ? 0 : key & SHADOW_SITE_ADDRESS;
}

const char *table_site_name(const struct table_places *places, uint32_t site)
{
	uint64_t key = places->site[site].key;

	if (!site || !(key & SHADOW_SITE_NAMED) || (key & SHADOW_SITE_ADDRESS) >= places->n_names)
		return NULL;
	return places->name[key & SHADOW_SITE_ADDRESS].text;
}

uint64_t table_region_bytes(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}
