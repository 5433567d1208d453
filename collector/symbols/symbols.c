/* SPDX-License-Identifier: MIT */
#include "collector/symbols/symbols.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/symbols/inner.h"
#include "collector/symbols/stack_walk.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/log.h"

/* Beside the program that runs. */
static char *find_program(void)
{
	static const char name[] = "memfs-symbols";
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(name));
	char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;

	if (!slash)
		return NULL;
	memcpy(slash + 1, name, sizeof(name));
	return strdup(path);
}

int symbols_new(const struct symbols_options *options, struct symbols **ret_symbols)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	pthread_condattr_t attributes;
	sigset_t all, old;

	if (!symbols)
		return -ENOMEM;
	symbols->program = options->program ? strdup(options->program) : find_program();
	if (!symbols->program ||
		symbol_cache_new(options->cache_max ? options->cache_max : SYMBOLS_CACHE, &symbols->cache)) {
		free(symbols->program);
		free(symbols);
		return -ENOMEM;
	}
	if (access(symbols->program, X_OK))
		log_warning("%s is not there: places in code have no names", symbols->program);
	symbols->last = &symbols->first;
	symbols->question_ms = options->question_ms ? options->question_ms : QUESTION_MS;
	symbols->idle_ms = options->idle_ms ? options->idle_ms : IDLE_MS;
	peer_init(&symbols->peer, symbols->program, options->uid, options->gid);
	pthread_mutex_init(&symbols->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&symbols->more, &attributes);
	pthread_cond_init(&symbols->done, &attributes);
	pthread_condattr_destroy(&attributes);
	/* Signals belong to the loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = -pthread_create(&symbols->thread, NULL, asker_main, symbols);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		symbols->closing = true;
		symbols_free(symbols);
		return r;
	}
	*ret_symbols = symbols;
	return 0;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	pthread_mutex_lock(&symbols->lock);
	bool runs = !symbols->closing;
	symbols->closing = true;
	pthread_cond_broadcast(&symbols->more);
	pthread_mutex_unlock(&symbols->lock);
	if (runs)
		pthread_join(symbols->thread, NULL);
	peer_deinit(&symbols->peer);
	symbol_cache_free(symbols->cache);
	pthread_cond_destroy(&symbols->more);
	pthread_cond_destroy(&symbols->done);
	pthread_mutex_destroy(&symbols->lock);
	free(symbols->program);
	free(symbols);
}

static void take_back(struct symbols *symbols, struct ask *ask)
{
	if (symbols->current == ask) {
		symbols->current = NULL;
		return;
	}
	for (struct ask **at = &symbols->first; *at; at = &(*at)->next) {
		if (*at != ask)
			continue;
		*at = ask->next;
		if (!ask->next)
			symbols->last = at;
		return;
	}
}

void symbols_ask(struct symbols *symbols, struct ask *ask, int64_t until_ns)
{
	const struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };
	int r = 0;

	if (ask->at == ask->n)
		return;
	pthread_mutex_lock(&symbols->lock);
	*symbols->last = ask;
	symbols->last = &ask->next;
	pthread_cond_signal(&symbols->more);
	while (!ask->done && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&symbols->done, &symbols->lock, &until);
	if (!ask->done)
		take_back(symbols, ask);
	pthread_mutex_unlock(&symbols->lock);
}

static int compare_places(const void *a, const void *b, void *arg)
{
	const struct module_place *places = arg, *x = &places[*(const size_t *)a],
				  *y = &places[*(const size_t *)b];

	if (x->module != y->module)
		return (uintptr_t)x->module < (uintptr_t)y->module ? -1 : 1;
	return x->address < y->address ? -1 : x->address > y->address;
}

void symbols_resolve(struct symbols *symbols, const struct module_place *place, size_t n, int64_t until_ns,
	struct symbol **ret_symbol)
{
	CLEANUP_FREE size_t *order = malloc((n + 1) * sizeof(*order));
	size_t misses = 0, hits = 0;

	pthread_mutex_lock(&symbols->lock);
	for (size_t i = 0; i < n; i++) {
		ret_symbol[i] = NULL;
		if (!place[i].module)
			continue;
		ret_symbol[i] = symbol_cache_get(symbols->cache, &place[i].module->id, place[i].address);
		if (ret_symbol[i])
			hits++;
		else if (order)
			order[misses++] = i;
	}
	symbols->status.hits += hits;
	symbols->status.misses += misses;
	pthread_mutex_unlock(&symbols->lock);
	if (!misses)
		return;
	qsort_r(order, misses, sizeof(*order), compare_places, (void *)(uintptr_t)place);
	struct ask ask = {
		.kind = ASK_RESOLVE, .n = misses, .place = place, .order = order, .symbol = ret_symbol
	};
	symbols_ask(symbols, &ask, until_ns);
}

void symbols_unwind(struct symbols *symbols, const struct module_table *table, const struct stack_copy *copy,
	size_t n, int64_t until_ns, struct stack *ret_stack)
{
	struct ask ask = { .kind = ASK_UNWIND, .n = n, .table = table, .copy = copy, .stack = ret_stack };

	for (size_t i = 0; i < n; i++)
		ret_stack[i].n = 0;
	symbols_ask(symbols, &ask, until_ns);
	/* Where the child is of no help frame pointers may be. */
	for (size_t i = 0; i < n; i++)
		if (!ret_stack[i].n)
			stack_walk(table, &copy[i], &ret_stack[i]);
}

struct symbols_status symbols_status(struct symbols *symbols)
{
	pthread_mutex_lock(&symbols->lock);
	struct symbols_status status = symbols->status;
	status.cached = symbol_cache_count(symbols->cache);
	pthread_mutex_unlock(&symbols->lock);
	return status;
}
