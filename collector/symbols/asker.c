/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "collector/symbols/inner.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"

static int64_t after_ms(int64_t ms)
{
	return clock_monotonic_ns() + ms * 1000000;
}

/* --- the child --- */

/* What the dead child had open is open no more. */
static void forget_child(struct symbols *symbols)
{
	for (size_t i = 0; i < WIRE_SLOTS; i++) {
		if (symbols->slot[i].file)
			module_unref(&symbols->slot[i].file->module);
		symbols->slot[i] = (struct slot) { NULL, 0 };
	}
	memset(symbols->space, 0, sizeof(symbols->space));
}

static void end_child(struct symbols *symbols, bool failed)
{
	peer_end(&symbols->peer);
	forget_child(symbols);
	pthread_mutex_lock(&symbols->lock);
	symbols->status.child = 0;
	symbols->status.failed += failed;
	pthread_mutex_unlock(&symbols->lock);
}

static int start_child(struct symbols *symbols)
{
	if (symbols->peer.pid)
		return 0;
	if (clock_monotonic_ns() < symbols->start_again_ns)
		return -EAGAIN;
	int r = peer_start(&symbols->peer, after_ms(START_MS));
	if (r) {
		symbols->start_again_ns = after_ms(RESTART_MS);
		return r;
	}
	pthread_mutex_lock(&symbols->lock);
	symbols->status.child = symbols->peer.pid;
	symbols->status.started++;
	pthread_mutex_unlock(&symbols->lock);
	return 0;
}

/* --- modules in the child --- */

/* Whether what the file turned out to be is what it was; stores it the first time. Under the lock. */
static bool learn(struct module_file *file, const struct wire_identity *identity,
	const struct wire_load *load, unsigned n)
{
	bool built = identity->id_n > 0;

	if (file->known)
		return !file->blind && file->machine == identity->machine && file->module.id.built == built &&
		       (!built || (file->module.id.n == identity->id_n &&
					  !memcmp(file->module.id.bytes, identity->id, identity->id_n)));
	if (built) {
		file->module.id = (struct module_id) { .n = (uint8_t)identity->id_n, .built = true };
		memcpy(file->module.id.bytes, identity->id, identity->id_n);
	}
	file->load = n ? malloc(n * sizeof(*load)) : NULL;
	if (file->load) {
		memcpy(file->load, load, n * sizeof(*load));
		file->n_loads = n;
	}
	file->machine = identity->machine;
	file->known = true;
	return true;
}

static uint32_t find_slot(struct symbols *symbols, const struct module_file *file)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < WIRE_SLOTS; i++) {
		if (symbols->slot[i].file == file)
			return i;
		if (symbols->slot[i].used < symbols->slot[oldest].used)
			oldest = i;
	}
	return oldest;
}

/* Sees to it that the child has the file. -ESTALE where there is no file to give it, or another by now. */
static int place_file(struct symbols *symbols, struct module_file *file, uint32_t *ret_slot)
{
	struct wire_load load[WIRE_LOADS_MAX];
	struct wire_identity identity;
	unsigned n;
	uint32_t number = find_slot(symbols, file);
	struct slot *slot = &symbols->slot[number];

	*ret_slot = number;
	slot->used = ++symbols->clock;
	pthread_mutex_lock(&symbols->lock);
	bool blind = file->blind;
	CLEANUP_CLOSE int fd =
		blind || slot->file == file || file->fd < 0 ? -1 : fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&symbols->lock);
	if (!blind && slot->file == file)
		return 0;
	if (fd < 0)
		return -ESTALE;
	if (slot->file)
		module_unref(&slot->file->module);
	slot->file = NULL;
	int r = peer_open(&symbols->peer, number, fd, after_ms(symbols->question_ms), &identity, load, &n);
	if (r)
		return r;
	pthread_mutex_lock(&symbols->lock);
	bool same = learn(file, &identity, load, n);
	pthread_mutex_unlock(&symbols->lock);
	if (!same)
		return -ESTALE;
	module_ref(&file->module);
	slot->file = file;
	return 0;
}

/* What no table has any more is not kept open by the child either. */
static int close_unused(struct symbols *symbols)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < WIRE_SLOTS; i++) {
		struct slot *slot = &symbols->slot[i];
		if (!slot->file)
			continue;
		pthread_mutex_lock(&symbols->lock);
		bool unused = !slot->file->users;
		pthread_mutex_unlock(&symbols->lock);
		if (!unused)
			continue;
		module_unref(&slot->file->module);
		*slot = (struct slot) { NULL, 0 };
		r = peer_close(&symbols->peer, i, after_ms(symbols->question_ms));
	}
	return r;
}

/* --- pieces of work: each takes its part of the ask under the lock, and comes back with it locked --- */

static bool is_bad(const struct module_file *file)
{
	return file->bad_until_ns > clock_monotonic_ns();
}

/*
 * Talks, with the lock open, and once more with a new child where the first died over it. What fails twice,
 * or hangs, is not tried again for a while: *ret_bad.
 */
static int talk(struct symbols *symbols, int (*question)(struct symbols *symbols, void *arg), void *arg,
	bool *ret_bad)
{
	int r = 0;

	*ret_bad = false;
	pthread_mutex_unlock(&symbols->lock);
	for (int tries = 0; tries < 2; tries++) {
		r = start_child(symbols);
		if (r)
			break;
		r = close_unused(symbols);
		if (!r)
			r = question(symbols, arg);
		if (r != -EPIPE && r != -ETIME)
			break;
		end_child(symbols, true);
		*ret_bad = tries == 1 || r == -ETIME;
		if (*ret_bad)
			break;
	}
	pthread_mutex_lock(&symbols->lock);
	return r;
}

struct identify {
	struct module_file *file;
};

static int ask_identify(struct symbols *symbols, void *arg)
{
	struct identify *work = arg;
	uint32_t slot;

	return place_file(symbols, work->file, &slot);
}

static void identify(struct symbols *symbols, struct ask *ask)
{
	for (unsigned i = 0; i < PIECE_FILES && symbols->current == ask && ask->at < ask->n; i++) {
		struct module_file *file = ask->file[ask->at++];
		struct identify work = { file };
		bool bad;
		if (file->known || is_bad(file))
			continue;
		module_ref(&file->module);
		talk(symbols, ask_identify, &work, &bad);
		if (bad)
			file->bad_until_ns = after_ms(RETRY_MS);
		module_unref(&file->module);
	}
}

struct resolve {
	struct module_file *file;
	struct module_id id;
	uint32_t n;
	uint64_t address[WIRE_ADDRESSES_MAX];
	struct symbol *symbol[WIRE_ADDRESSES_MAX];
};

static void take_symbol(void *ctx, size_t i, const struct wire_symbol *from)
{
	struct resolve *work = ctx;

	/* A second try brings the first ones again. */
	symbol_unref(work->symbol[i]);
	work->symbol[i] = symbol_new(from);
}

static int ask_resolve(struct symbols *symbols, void *arg)
{
	struct resolve *work = arg;
	uint32_t slot;
	int r = place_file(symbols, work->file, &slot);

	if (!r)
		r = peer_resolve(&symbols->peer, slot, work->address, work->n, after_ms(symbols->question_ms),
			take_symbol, work);
	return r;
}

/* The addresses of one module that come next, without those that are known by now and without repetition. */
static void fill(struct symbols *symbols, struct ask *ask, struct resolve *work)
{
	work->file = module_file_of(ask->place[ask->order[ask->at]].module);
	work->id = work->file->module.id;
	for (; ask->at < ask->n && work->n < WIRE_ADDRESSES_MAX; ask->at++) {
		size_t i = ask->order[ask->at];
		const struct module_place *place = &ask->place[i];
		if (module_file_of(place->module) != work->file)
			break;
		if (work->n && work->address[work->n - 1] == place->address)
			continue;
		ask->symbol[i] = symbol_cache_get(symbols->cache, &work->id, place->address);
		if (!ask->symbol[i])
			work->address[work->n++] = place->address;
	}
}

/* Gives what was found to the places from `from` on. */
static void give(struct ask *ask, size_t from, const struct resolve *work)
{
	uint32_t k = 0;

	for (size_t at = from; at < ask->at; at++) {
		size_t i = ask->order[at];
		if (ask->symbol[i])
			continue;
		while (k < work->n && work->address[k] < ask->place[i].address)
			k++;
		if (k < work->n && work->address[k] == ask->place[i].address && work->symbol[k])
			ask->symbol[i] = symbol_ref(work->symbol[k]);
	}
}

static void resolve(struct symbols *symbols, struct ask *ask)
{
	struct resolve work = { 0 };
	size_t from = ask->at;
	bool bad = false;

	fill(symbols, ask, &work);
	if (!work.n)
		return;
	struct module_file *file = work.file;
	if (!is_bad(file)) {
		module_ref(&file->module);
		talk(symbols, ask_resolve, &work, &bad);
		if (bad)
			file->bad_until_ns = after_ms(RETRY_MS);
		for (uint32_t i = 0; i < work.n; i++)
			if (work.symbol[i])
				symbol_cache_put(symbols->cache, &work.id, work.address[i], work.symbol[i]);
		module_unref(&file->module);
	}
	if (symbols->current == ask)
		give(ask, from, &work);
	for (uint32_t i = 0; i < work.n; i++)
		symbol_unref(work.symbol[i]);
}

struct unwind {
	uint64_t number;
	struct module_file **file; /* references */
	uint64_t *bias;
	size_t n;
	struct wire_registers registers;
	uint8_t bytes[STACK_BYTES_MAX];
	uint32_t n_bytes;
	uint64_t address[WIRE_FRAMES_MAX];
	unsigned n_frames;
	bool cut;
};

/* Modules at their places, each once, though it has several segments. */
static int take_modules(struct unwind *work, const struct module_table *table)
{
	size_t cap = table->n < WIRE_MODULES_MAX ? table->n : WIRE_MODULES_MAX;

	work->file = calloc(cap + 1, sizeof(*work->file));
	work->bias = calloc(cap + 1, sizeof(*work->bias));
	/* A process may have tens of thousands of mappings; code that matters is not that far. */
	size_t last = table->n < 4 * WIRE_MODULES_MAX ? table->n : 4 * WIRE_MODULES_MAX;

	for (size_t i = 0; work->file && work->bias && i < last && work->n < cap; i++) {
		const struct module_segment *segment = &table->segment[i];
		struct module_file *file = module_file_of(segment->module);
		size_t k = 0;
		while (k < work->n && (work->file[k] != file || work->bias[k] != segment->bias))
			k++;
		if (k < work->n || !file->n_loads || is_bad(file))
			continue;
		module_ref(&file->module);
		work->bias[work->n] = segment->bias;
		work->file[work->n++] = file;
	}
	return work->file && work->bias ? 0 : -ENOMEM;
}

static void release_modules(struct unwind *work)
{
	for (size_t i = 0; i < work->n; i++)
		module_unref(&work->file[i]->module);
	free(work->file);
	free(work->bias);
}

/* Sees to it that the child has the table. */
static int place_table(struct symbols *symbols, const struct unwind *work, uint32_t *ret_space)
{
	struct wire_module module[WIRE_MODULES_MAX];
	uint32_t oldest = 0, n = 0, slot;

	for (uint32_t i = 0; i < WIRE_SPACES; i++) {
		if (symbols->space[i].used < symbols->space[oldest].used)
			oldest = i;
		if (symbols->space[i].number != work->number)
			continue;
		symbols->space[i].used = ++symbols->clock;
		*ret_space = i;
		return 0;
	}
	for (size_t i = 0; i < work->n; i++) {
		int r = place_file(symbols, work->file[i], &slot);
		if (r == -ESTALE)
			continue;
		if (r)
			return r;
		module[n++] = (struct wire_module) { slot, work->bias[i] };
	}
	int r = peer_space(&symbols->peer, oldest, module, n, after_ms(symbols->question_ms));
	if (!r)
		symbols->space[oldest] = (struct space_slot) { work->number, ++symbols->clock };
	*ret_space = oldest;
	return r;
}

static int ask_unwind(struct symbols *symbols, void *arg)
{
	struct unwind *work = arg;
	uint32_t space;
	int r = place_table(symbols, work, &space);

	if (!r)
		r = peer_unwind(&symbols->peer, space, &work->registers, work->bytes, work->n_bytes,
			after_ms(symbols->question_ms), work->address, &work->n_frames, &work->cut);
	return r;
}

static void put_stack(const struct module_table *table, const struct unwind *work, struct stack *ret)
{
	ret->n = work->n_frames;
	ret->cut = work->cut;
	for (unsigned i = 0; i < work->n_frames; i++)
		ret->place[i] = module_table_place(table, work->address[i] + 1);
}

static void unwind(struct symbols *symbols, struct ask *ask)
{
	struct unwind *work = calloc(1, sizeof(*work));
	bool bad = false;

	if (work && take_modules(work, ask->table) == 0)
		work->number = ask->table->number;
	for (unsigned i = 0; i < PIECE_STACKS && symbols->current == ask && ask->at < ask->n; i++) {
		size_t at = ask->at++;
		const struct stack_copy *copy = &ask->copy[at];
		if (!work || !work->number || work->number == symbols->bad_table)
			continue;
		work->n_bytes = (uint32_t)(copy->n < STACK_BYTES_MAX ? copy->n : STACK_BYTES_MAX);
		memcpy(work->bytes, copy->bytes, work->n_bytes);
		memcpy(work->registers.value, copy->registers, sizeof(work->registers.value));
		int r = talk(symbols, ask_unwind, work, &bad);
		if (bad)
			symbols->bad_table = work->number;
		if (!r && symbols->current == ask)
			put_stack(ask->table, work, &ask->stack[at]);
	}
	if (work)
		release_modules(work);
	free(work);
}

/* --- the thread --- */

static void work_piece(struct symbols *symbols, struct ask *ask)
{
	static void (*const pieces[])(struct symbols *,
		struct ask *) = { [ASK_IDENTIFY] = identify, [ASK_RESOLVE] = resolve, [ASK_UNWIND] = unwind };

	symbols->current = ask;
	pieces[ask->kind](symbols, ask);
	if (symbols->current != ask)
		return;
	symbols->current = NULL;
	if (ask->at < ask->n) {
		ask->next = NULL;
		*symbols->last = ask;
		symbols->last = &ask->next;
		return;
	}
	ask->done = true;
	pthread_cond_broadcast(&symbols->done);
}

/* Waits for work; without any for long the child ends, and what it has open with it. */
static void wait_for_work(struct symbols *symbols)
{
	int64_t until_ns = after_ms(symbols->idle_ms);
	const struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };
	int r = 0;

	while (!symbols->first && !symbols->closing && r != ETIMEDOUT)
		r = symbols->status.child ? pthread_cond_timedwait(&symbols->more, &symbols->lock, &until)
					  : pthread_cond_wait(&symbols->more, &symbols->lock);
	if (!symbols->first && !symbols->closing) {
		pthread_mutex_unlock(&symbols->lock);
		end_child(symbols, false);
		pthread_mutex_lock(&symbols->lock);
	}
}

void *asker_main(void *arg)
{
	struct symbols *symbols = arg;

	pthread_mutex_lock(&symbols->lock);
	while (!symbols->closing) {
		struct ask *ask = symbols->first;
		if (!ask) {
			wait_for_work(symbols);
			continue;
		}
		symbols->first = ask->next;
		if (!symbols->first)
			symbols->last = &symbols->first;
		work_piece(symbols, ask);
	}
	pthread_mutex_unlock(&symbols->lock);
	end_child(symbols, false);
	return NULL;
}
