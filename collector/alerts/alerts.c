/* SPDX-License-Identifier: MIT */
#include "collector/alerts/alerts.h"
#include "schema/base/array.h"

#include <stdlib.h>
#include <string.h>

static const int64_t slack_ns = 50000000; /* ticks jitter */

void alerts_deinit(struct alerts *alerts)
{
	free(alerts->instance);
	*alerts = (struct alerts) { 0 };
}

/* --- rules --- */

static uint64_t hash_comm(const char comm[static BOARD_COMM])
{
	uint64_t half[2];

	memcpy(half, comm, sizeof(half));
	uint64_t hash = (half[0] ^ half[1] * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xc2b2ae3d27d4eb4f);
	return hash >> 56;
}

static uint64_t hash_rule(const struct alert_rule *rule)
{
	char array[NOTE_LINE_MAX];
	struct buf text = BUF_FIXED(array);
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	alert_rule_render(&text, rule);
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)array[i]) * UINT64_C(0x100000001b3);
	return hash ? hash : 1;
}

/* First rule of the name plus one; 0: no rule is about it. Rules of several names may share a chain. */
static uint16_t first_of(const struct alerts *alerts, const char comm[static BOARD_COMM])
{
	return alerts->by_name[hash_comm(comm)];
}

static void index_rules(struct alerts *alerts)
{
	memset(alerts->by_name, 0, sizeof(alerts->by_name));
	alerts->names = false;
	for (size_t i = 0; i < alerts->n; i++) {
		const struct alert_rule *rule = &alerts->rule[i];
		alerts->hash[i] = hash_rule(rule);
		if (rule->subject != ALERT_BY_NAME && rule->subject != ALERT_EACH)
			continue;
		uint16_t *first = &alerts->by_name[hash_comm(rule->comm)];
		alerts->next[i] = *first;
		*first = (uint16_t)(i + 1);
		alerts->names = true;
	}
}

static void tell_change(const struct alerts *alerts, const struct alert_instance *instance,
	const int64_t *value, alerts_tell_fn *tell, void *ctx)
{
	const struct alert_rule *rule = &alerts->rule[instance->rule];
	char array[BOARD_NEWS_TEXT];
	struct buf text = BUF_FIXED(array);

	buf_printf(&text, "%s %s ", rule->name, instance->firing ? "firing" : "cleared");
	alert_rule_render_finding(&text, rule, value);
	buf_putc(&text, '\0');
	array[sizeof(array) - 1] = '\0';
	tell(ctx, rule, instance->pid, array);
}

static size_t find_rule(const struct alert_rule *rules, size_t n, const struct alert_rule *rule)
{
	size_t i = 0;

	while (i < n && !alert_rule_same(&rules[i], rule))
		i++;
	return i;
}

/* Takes one out that is no more, and tells of its clearing where it fired. */
static void end_instance(
	struct alerts *alerts, struct alert_instance *instance, alerts_tell_fn *tell, void *ctx)
{
	if (!instance->firing)
		return;
	instance->firing = false;
	alerts->changed = true;
	tell_change(alerts, instance, NULL, tell, ctx);
}

void alerts_set(struct alerts *alerts, const struct note_text *note, alerts_tell_fn *tell, void *ctx)
{
	struct span rest = { note->text, note->len }, line;
	struct alert_rule rules[ALERTS_MAX];
	size_t n = 0, kept = 0;

	while (n < ALERTS_MAX && span_line(&rest, &line))
		n += alert_rule_parse(line, &rules[n], NULL) == 0;
	for (size_t i = 0; i < alerts->n_instances; i++) {
		struct alert_instance *instance = &alerts->instance[i];
		size_t at = find_rule(rules, n, &alerts->rule[instance->rule]);
		if (at == n) {
			end_instance(alerts, instance, tell, ctx);
			continue;
		}
		alerts->instance[kept] = *instance;
		alerts->instance[kept++].rule = (uint16_t)at;
	}
	alerts->n_instances = kept;
	memcpy(alerts->rule, rules, n * sizeof(*rules));
	alerts->n = n;
	index_rules(alerts);
}

/* --- instances --- */

static size_t slot_of(uint16_t rule, uint32_t pid, uint64_t start_ticks)
{
	uint64_t key = ((uint64_t)pid << 16 | rule) ^ start_ticks << 40;
	return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 51);
}
_Static_assert(ALERT_SLOTS == 1 << (64 - 51), "slot_of gives one of ALERT_SLOTS");
_Static_assert(ALERT_SLOTS >= 2 * ALERT_INSTANCES_MAX, "there is always an empty slot");

/* The slot that has it, or the empty one where it belongs. */
static uint16_t *find_slot(struct alerts *alerts, uint16_t rule, uint32_t pid, uint64_t start_ticks)
{
	size_t at = slot_of(rule, pid, start_ticks);

	for (;; at = (at + 1) % ALERT_SLOTS) {
		if (!alerts->slot[at])
			return &alerts->slot[at];
		const struct alert_instance *is = &alerts->instance[alerts->slot[at] - 1];
		if (is->rule == rule && is->pid == pid && is->start_ticks == start_ticks)
			return &alerts->slot[at];
	}
}

static void index_instances(struct alerts *alerts)
{
	memset(alerts->slot, 0, sizeof(alerts->slot));
	for (size_t i = 0; i < alerts->n_instances; i++) {
		struct alert_instance *instance = &alerts->instance[i];
		instance->seen = false;
		*find_slot(alerts, instance->rule, instance->pid, instance->start_ticks) = (uint16_t)(i + 1);
	}
}

/* Appends one; NULL where there are too many or memory is out. */
static struct alert_instance *add_instance(struct alerts *alerts, struct alert_instance instance)
{
	struct alert_instance *added =
		alerts->n_instances == ALERT_INSTANCES_MAX
			? NULL
			: array_push(&alerts->instance, &alerts->n_instances, &alerts->cap_instances);

	if (added)
		*added = instance;
	return added;
}

/* --- a tick --- */

struct tick {
	struct alerts *alerts;
	int64_t now_ns;
	alerts_tell_fn *tell;
	void *ctx;
};

/* What a rule finds of its subject; value is NULL where it is not known. */
static void judge(
	const struct tick *tick, size_t rule, uint32_t pid, uint64_t start_ticks, const int64_t *value)
{
	struct alerts *alerts = tick->alerts;
	bool holds = value && alert_rule_holds(&alerts->rule[rule], *value);
	uint16_t *slot = find_slot(alerts, (uint16_t)rule, pid, start_ticks);
	struct alert_instance *instance = *slot ? &alerts->instance[*slot - 1] : NULL;

	if (!instance) {
		if (!holds)
			return;
		instance = add_instance(alerts, (struct alert_instance) {
							.rule = (uint16_t)rule,
							.pid = pid,
							.start_ticks = start_ticks,
						});
		if (!instance) {
			alerts->untracked++;
			return;
		}
		*slot = (uint16_t)alerts->n_instances;
	}
	instance->seen = instance->firing || holds;
	if (holds == instance->firing) {
		instance->since_ns = 0;
		return;
	}
	if (!instance->since_ns)
		instance->since_ns = tick->now_ns;
	if (tick->now_ns - instance->since_ns + slack_ns < alerts->rule[rule].for_s * INT64_C(1000000000))
		return;
	instance->firing = instance->seen = holds;
	instance->since_ns = 0;
	alerts->changed = true;
	tell_change(alerts, instance, value, tick->tell, tick->ctx);
}

static int64_t clamp(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static bool value_of(const struct alert_rule *rule, uint64_t present, const uint64_t *value,
	const int64_t (*rate)[N_WINDOWS], int64_t *ret)
{
	if (rule->rate >= 0) {
		*ret = rate[rule->rate][rule->window];
		return *ret != BOARD_RATE_UNKNOWN;
	}
	if (!metric_has(present, (unsigned)rule->metric))
		return false;
	*ret = clamp(value[rule->metric]);
	return true;
}

static bool value_of_process(const struct alert_rule *rule, const struct board_process *process, int64_t *ret)
{
	return value_of(rule, process->values.present, process->values.value,
		(const int64_t(*)[N_WINDOWS])process->rate, ret);
}

static void judge_process(const struct tick *tick, size_t rule, const struct process *process)
{
	const struct board_process *shown = &process->shown;
	int64_t value;

	bool known = value_of_process(&tick->alerts->rule[rule], shown, &value);
	judge(tick, rule, shown->pid, shown->start_ticks, known ? &value : NULL);
}

static void add_up(struct alerts *alerts, size_t rule, const struct board_process *process)
{
	struct alert_sum *sum = &alerts->sum[rule];
	int64_t value;

	sum->count++;
	if (alerts->rule[rule].metric < 0 || !value_of_process(&alerts->rule[rule], process, &value))
		return;
	if (__builtin_add_overflow(sum->value, value, &sum->value))
		sum->value = value > 0 ? INT64_MAX : INT64_MIN;
	sum->known = true;
}

static void judge_named(const struct tick *tick, const struct process_table *table)
{
	struct alerts *alerts = tick->alerts;

	for (size_t i = 0; i < table->n; i++) {
		const struct process *process = table->live[i];
		if (i + 8 < table->n)
			__builtin_prefetch(table->live[i + 8]->shown.comm);
		for (uint16_t at = first_of(alerts, process->shown.comm); at; at = alerts->next[at - 1]) {
			const struct alert_rule *rule = &alerts->rule[at - 1];
			if (memcmp(rule->comm, process->shown.comm, BOARD_COMM) != 0)
				continue;
			if (rule->subject == ALERT_EACH)
				judge_process(tick, at - 1U, process);
			else
				add_up(alerts, at - 1U, &process->shown);
		}
	}
}

static void drop_unseen(const struct tick *tick)
{
	struct alerts *alerts = tick->alerts;
	size_t kept = 0;

	for (size_t i = 0; i < alerts->n_instances; i++) {
		struct alert_instance *instance = &alerts->instance[i];
		if (instance->seen)
			alerts->instance[kept++] = *instance;
		else
			end_instance(alerts, instance, tick->tell, tick->ctx);
	}
	alerts->n_instances = kept;
}

static void judge_single(const struct tick *tick, size_t rule, const struct board_system *system,
	const struct process_table *table)
{
	struct alerts *alerts = tick->alerts;
	const struct alert_rule *is = &alerts->rule[rule];
	const struct alert_sum *sum = &alerts->sum[rule];
	const struct process *process;
	int64_t value;
	bool known;

	switch ((enum alert_subject)is->subject) {
	case ALERT_NODE:
		known = value_of(is, system->values.present, system->values.value,
			(const int64_t(*)[N_WINDOWS])system->rate, &value);
		judge(tick, rule, 0, 0, known ? &value : NULL);
		break;
	case ALERT_PID:
		process = process_find(table, is->pid);
		if (process)
			judge_process(tick, rule, process);
		break;
	case ALERT_BY_NAME:
		value = is->metric < 0 ? clamp(sum->count) : sum->value;
		judge(tick, rule, 0, 0, is->metric < 0 || sum->known ? &value : NULL);
		break;
	default:
		break;
	}
}

void alerts_tick(struct alerts *alerts, const struct board_system *system, const struct process_table *table,
	int64_t now_ns, alerts_tell_fn *tell, void *ctx)
{
	const struct tick tick = { alerts, now_ns, tell, ctx };

	alerts->untracked = 0;
	if (!alerts->n)
		return;
	index_instances(alerts);
	memset(alerts->sum, 0, alerts->n * sizeof(*alerts->sum));
	if (alerts->names)
		judge_named(&tick, table);
	for (size_t rule = 0; rule < alerts->n; rule++)
		judge_single(&tick, rule, system, table);
	drop_unseen(&tick);
}

/* --- over the death of a collector --- */

void alerts_save(struct alerts *alerts, struct board_firing *firing)
{
	for (size_t i = 0; i < alerts->n_instances && firing->n < BOARD_FIRING; i++) {
		const struct alert_instance *instance = &alerts->instance[i];
		if (!instance->firing)
			continue;
		firing->entry[firing->n].rule = alerts->hash[instance->rule];
		firing->entry[firing->n].start_ticks = instance->start_ticks;
		firing->entry[firing->n++].pid = instance->pid;
	}
	alerts->changed = false;
}

void alerts_restore(struct alerts *alerts, const struct board_firing *firing)
{
	for (size_t i = 0; i < firing->n; i++)
		for (size_t rule = 0; rule < alerts->n; rule++)
			if (alerts->hash[rule] == firing->entry[i].rule)
				add_instance(alerts, (struct alert_instance) {
							     .rule = (uint16_t)rule,
							     .firing = true,
							     .pid = (uint32_t)firing->entry[i].pid,
							     .start_ticks = firing->entry[i].start_ticks,
						     });
}
