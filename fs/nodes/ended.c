/* SPDX-License-Identifier: MIT */
/*
 * nodes/NODE/ended/PID-STARTTIME/: what remains of processes that ended, from the database. What was never
 * known of one has no file. The place of one is its id there, which no other gets.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/nodes/nodes.h"
#include "fs/render.h"
#include "fs/view.h"
#include "schema/base/num.h"
#include "schema/store/store.h"

/* --- reading --- */

static int outcome(int r)
{
	return r == STORE_ABSENT ? -ESRCH : r > 0 ? -ENODATA : r;
}

static int get_ended(struct view *view, const struct place *place, store_ended_fn *fn, void *ctx)
{
	struct store *store = view_borrow_store(view);
	int r = store ? outcome(store_get_ended(store, place->name, fn, ctx)) : -ENODATA;

	view_return_store(view, store);
	return r;
}

static int each_number(struct view *view, const struct place *place, enum store_ended_numbers which,
	store_ended_number_fn *fn, void *ctx)
{
	struct store *store = view_borrow_store(view);
	int r = store ? outcome(store_each_ended_number(store, place->name, which, fn, ctx)) : -ENODATA;

	view_return_store(view, store);
	return r;
}

/* --- facts --- */

enum fact {
	FACT_COMM,
	FACT_ARGS,
	FACT_STATE,
	FACT_PPID,
	FACT_UID,
	FACT_GID,
	FACT_THREADS,
	FACT_START_TIME,
	FACT_ENDED,
	FACT_REASON,
};

static int put_known(struct buf *out, const struct store_ended *ended, unsigned known, uint32_t number)
{
	if (!(ended->known & known))
		return -ENODATA;
	buf_put_u64(out, number);
	return 0;
}

static int put_text(struct buf *out, const char *text)
{
	if (!text)
		return -ENODATA;
	buf_puts(out, text);
	return 0;
}

static int put_fact(enum fact fact, const struct store_ended *ended, struct buf *out)
{
	switch (fact) {
	case FACT_COMM:
		if (!ended->comm)
			return -ENODATA;
		/* The kernel's bytes, as in PID/. */
		buf_put_unescaped(out, ended->comm, strlen(ended->comm));
		return 0;
	case FACT_ARGS:
		return put_text(out, ended->args);
	case FACT_STATE:
		return put_text(out, ended->state);
	case FACT_PPID:
		return put_known(out, ended, STORE_ENDED_PPID, ended->ppid);
	case FACT_UID:
		return put_known(out, ended, STORE_ENDED_UID, ended->uid);
	case FACT_GID:
		return put_known(out, ended, STORE_ENDED_GID, ended->gid);
	case FACT_THREADS:
		return put_known(out, ended, STORE_ENDED_THREADS, ended->threads);
	case FACT_START_TIME:
		buf_printf(out, "%lld.%02d", (long long)(ended->start_ns / 1000000000),
			(int)(ended->start_ns % 1000000000 / 10000000));
		return 0;
	case FACT_ENDED:
		render_time(out, ended->end_ns);
		return 0;
	case FACT_REASON:
		return put_text(out, ended->reason);
	}
	return -ENODATA;
}

struct asked {
	enum fact fact;
	struct buf *out;
};

static int on_ended(void *ctx, const struct store_ended *ended)
{
	const struct asked *asked = ctx;
	int r = put_fact(asked->fact, ended, asked->out);

	buf_putc(asked->out, '\n');
	return r;
}

static int fact_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct asked asked = { tree_node(view->tree, place)->arg, out };
	return get_ended(view, place, on_ended, &asked);
}

/* --- numbers --- */

static int on_value(void *ctx, const char *name, int64_t number)
{
	struct process_values *values = ctx;
	int id = metric_by_name(&process_metrics, (struct span) { name, strlen(name) });

	/* One that a later version had is passed over. */
	if (id >= 0 && number >= 0)
		process_values_set(values, (enum process_metric)id, (uint64_t)number);
	return 0;
}

static int number_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	unsigned id = tree_node(view->tree, place)->arg;
	struct process_values values = { 0 };
	int r = each_number(view, place, STORE_ENDED_VALUES, on_value, &values);

	if (r)
		return r;
	if (!metric_has(values.present, id))
		return -ENODATA;
	metric_value_render(out, &process_metrics.rows[id], values.value[id]);
	buf_putc(out, '\n');
	return 0;
}

static int stat_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct process_values values = { 0 };
	int r = each_number(view, place, STORE_ENDED_VALUES, on_value, &values);

	if (r)
		return r;
	if (!values.present)
		return -ENODATA;
	process_stat_put(out, &values);
	return 0;
}

struct rates {
	bool any;
	int64_t rate[N_PROCESS_RATES][N_WINDOWS];
};

/* "minor_faults_10s" */
static int on_rate(void *ctx, const char *name, int64_t number)
{
	struct rates *rates = ctx;
	const char *window_name = strrchr(name, '_');
	struct span base = { name, window_name ? (size_t)(window_name - name) : 0 };

	for (unsigned i = 0; window_name && i < N_PROCESS_RATES; i++) {
		struct span rate =
			metric_rate_name(&process_metrics.rows[metric_rate_metric(&process_metrics, i)]);

		if (rate.n != base.n || memcmp(rate.p, base.p, base.n) != 0)
			continue;
		for (unsigned window = 0; window < N_WINDOWS; window++) {
			if (strcmp(metric_window_name[window], window_name + 1) != 0)
				continue;
			rates->rate[i][window] = number;
			rates->any = true;
		}
	}
	return 0;
}

static int rate_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct rates rates = { 0 };

	for (unsigned i = 0; i < N_PROCESS_RATES * N_WINDOWS; i++)
		(&rates.rate[0][0])[i] = BOARD_RATE_UNKNOWN;
	int r = each_number(view, place, STORE_ENDED_RATES, on_rate, &rates);
	if (r)
		return r;
	if (!rates.any)
		return -ENODATA;
	render_rates(out, &process_metrics, &rates.rate[0][0], N_PROCESS_RATES);
	return 0;
}

/* --- the directory --- */

static bool is_known(struct view *view, const struct place *place)
{
	CLEANUP_BUF struct buf content = BUF_INIT;
	return !tree_node(view->tree, place)->render(view, place, NULL, &content);
}

static void put_name(struct buf *out, const struct store_ended_name *name)
{
	buf_put_u64(out, name->pid);
	buf_putc(out, '-');
	buf_put_i64(out, name->start_s);
	if (name->nth > 1)
		buf_printf(out, "-%u", name->nth);
}

/*
 * Names of a listing, read by the hundred: a snapshot of the database for each of ten thousand would be most
 * of what it costs. A listing begins with the first of them, which are read anew.
 */
enum { NAMES_AT_ONCE = 256 };
struct ended_names {
	pthread_mutex_t lock;
	unsigned n;
	int64_t after; /* the id that the first of them follows */
	struct store_ended_name name[NAMES_AT_ONCE];
};

int ended_names_new(struct ended_names **ret)
{
	struct ended_names *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	pthread_mutex_init(&names->lock, NULL);
	*ret = names;
	return 0;
}

void ended_names_free(struct ended_names *names)
{
	if (!names)
		return;
	pthread_mutex_destroy(&names->lock);
	free(names);
}

static int on_name(void *ctx, const struct store_ended_name *name)
{
	struct ended_names *names = ctx;

	names->name[names->n++] = *name;
	return 0;
}

/* The lock is held. */
static void read_names(struct view *view, int64_t after)
{
	struct ended_names *names = view->ended_names;
	struct store *store = view_borrow_store(view);

	names->n = 0;
	names->after = after;
	if (store && store_each_ended_name(store, after, NAMES_AT_ONCE, on_name, names))
		names->n = 0;
	view_return_store(view, store);
}

/* The place of the name that follows an id among those read; n where it is not known which. The lock is held.
 */
static unsigned find_next(const struct ended_names *names, int64_t after)
{
	unsigned low = 0, high = names->n;

	if (!after || after < names->after)
		return names->n;
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		if (names->name[middle].id > after)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool next_ended(
	struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key, struct entry *ret)
{
	struct ended_names *names = view->ended_names;
	struct store_ended_name name = { 0 };
	struct buf text = BUF_FIXED(ret->name);

	pthread_mutex_lock(&names->lock);
	unsigned at = find_next(names, (int64_t)*key);
	if (at == names->n) {
		read_names(view, (int64_t)*key);
		at = 0;
	}
	if (at < names->n)
		name = names->name[at];
	pthread_mutex_unlock(&names->lock);
	if (!name.id || name.id >= PLACE_NO_NAME)
		return false;
	ret->place = *dir;
	ret->place.row = child_row;
	ret->place.name = (uint32_t)name.id;
	put_name(&text, &name);
	buf_putc(&text, '\0');
	*key = (uint64_t)name.id;
	return true;
}

/* A whole number at *at, without a sign or leading zeros; *at moves behind it. */
static bool take_number(const char **at, uint64_t max, uint64_t *ret)
{
	const char *begin = *at;

	return num_parse_u64(at, begin + strlen(begin), ret) && *ret <= max &&
	       (*begin != '0' || *at == begin + 1);
}

/* PID-STARTTIME, or with -NTH from 2 on. */
static bool parse_name(const char *text, struct store_ended_name *ret)
{
	uint64_t pid, start_s, nth = 1;

	if (!take_number(&text, BOARD_PIDS, &pid) || *text++ != '-' ||
		!take_number(&text, INT64_MAX, &start_s))
		return false;
	if (*text == '-') {
		text++;
		if (!take_number(&text, UINT32_MAX, &nth) || nth < 2)
			return false;
	}
	*ret = (struct store_ended_name) {
		.pid = (uint32_t)pid, .start_s = (int64_t)start_s, .nth = (uint32_t)nth
	};
	return !*text;
}

static int find_ended(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	struct store_ended_name wanted;
	int64_t id = 0;

	if (!parse_name(name, &wanted))
		return -ENOENT;
	struct store *store = view_borrow_store(view);
	int r = store ? store_find_ended(store, &wanted, &id) : -ENOENT;
	view_return_store(view, store);
	if (r || id >= PLACE_NO_NAME)
		return -ENOENT;
	*ret = *dir;
	ret->row = child_row;
	ret->name = (uint32_t)id;
	return 0;
}

static int on_path(void *ctx, const struct store_ended *ended)
{
	put_name(ctx, &ended->name);
	return 0;
}

static void put_path_name(struct view *view, const struct place *place, struct buf *out)
{
	if (get_ended(view, place, on_path, out))
		buf_puts(out, "-"); /* gone meanwhile */
}

/* They come and go without notice to the kernel: it asks again each second. */
static const struct node_list ended_list = { next_ended, find_ended, 1000, put_path_name };

#define FACT(name, class_unit, text, which)                                                                  \
	{                                                                                                    \
		name, 0444, NODE_TABLE, class_unit, text, .render = fact_render, .exists = is_known,         \
							  .arg = which                                       \
	}
#define FILE    METRIC_FILE
#define STAT    METRIC_STAT
#define HISTORY METRIC_HISTORY
#define RATE    METRIC_RATE
#define SYSTEM(id, ...)
#define PROCESS(id, metric_name, metric_unit, kind, source, key, where, text)                                \
	{ metric_name, 0444, (where)&METRIC_FILE ? NODE_TABLE : NODE_NONE, UNIT_##metric_unit, text,         \
		.render = number_render, .exists = is_known, .arg = PROCESS_##id },

static const struct node one_nodes[] = {
	README,
	FACT("ended", "seconds", "when it ended; where nobody saw it, when it was found to be gone",
		FACT_ENDED),
	FACT("reason", NULL, "exit N, signal N SIGNAME [core], oom, unknown", FACT_REASON),
	FACT("comm", NULL, "name, as /proc/PID/comm", FACT_COMM),
	FACT("args", NULL, "the command line as one escaped line, of what lived for a second", FACT_ARGS),
	FACT("state", NULL, "letter, as last seen", FACT_STATE),
	FACT("ppid", NULL, "pid of the parent", FACT_PPID),
	FACT("uid", NULL, "real user", FACT_UID),
	FACT("gid", NULL, "real group", FACT_GID),
	FACT("threads", NULL, "how many threads", FACT_THREADS),
	FACT("start_time", "seconds", "epoch, two decimals", FACT_START_TIME),
#include "schema/metrics.def"
	{ "stat", 0444, NODE_TABLE, "bytes", "all of these as last sampled, and the faults until the end",
		.render = stat_render, .form = FORM_KEYED, .exists = is_known },
	{ "rate", 0444, NODE_TABLE, "1/s", "as last computed: rss data swap minor_faults major_faults",
		.render = rate_render, .form = FORM_KEYED, .exists = is_known },
	{ "history", 0555, NODE_DIR, NULL, "the past, up to its end", .children = history_nodes },
	{ "leaks", 0555, NODE_DIR, NULL, "what it had allocated and not freed, where it was traced",
		.children = ended_leak_nodes, .exists = ended_leaks_exist },
	{ 0 },
};

const struct node ended_nodes[] = {
	{ NULL, 0555, NODE_DIR, NULL, "what remains of a process, for `ended_keep` seconds of config",
		"PID-STARTTIME", .list = &ended_list, .children = one_nodes },
	README_HIDDEN,
	{ 0 },
};
