/* SPDX-License-Identifier: MIT */
#include "collector/alerts/alert_rule.h"

#include <string.h>

#include "schema/base/num.h"
#include "schema/base/quote.h"

static const char *const op_name[N_ALERT_OPS] = { ">", ">=", "<", "<=", "==", "!=" };

static const struct metric_list *list_of(uint32_t subject)
{
	return subject == ALERT_NODE ? &system_metrics : &process_metrics;
}

/* --- the words of a line --- */

static bool is_name(struct span word)
{
	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '.' || c == '_' || (c == '-' && i > 0)))
			return false;
	}
	return word.n > 0 && word.n <= NOTE_NAME_MAX;
}

/* What follows a prefix; an empty span at NULL where the word has another. */
static struct span after(struct span word, const char *prefix)
{
	size_t n = strlen(prefix);

	if (word.n < n || memcmp(word.p, prefix, n) != 0)
		return (struct span) { NULL, 0 };
	return (struct span) { word.p + n, word.n - n };
}

static int parse_comm(struct alert_rule *rule, struct span word, struct err *err)
{
	char quoted[QUOTE_TEXT], array[4 * BOARD_COMM];
	struct buf comm = BUF_FIXED(array);

	buf_put_unescaped(&comm, word.p, word.n);
	if (!comm.len || comm.len >= BOARD_COMM || buf_error(&comm) || memchr(array, 0, comm.len))
		return err_set(err, EINVAL,
			"the kernel's names of processes have 1 to %d bytes, \"%s\" has not", BOARD_COMM - 1,
			quote(quoted, word));
	memcpy(rule->comm, comm.data, comm.len);
	return 0;
}

static int parse_pid(struct alert_rule *rule, struct span word, struct err *err)
{
	char quoted[QUOTE_TEXT];
	uint64_t pid;

	if (!num_parse_whole(word.p, word.n, &pid))
		return err_set(err, EINVAL, "\"%s\" is no pid", quote(quoted, word));
	if (pid == 0 || pid >= BOARD_PIDS)
		return err_set(err, ERANGE, "pids are from 1 to %d", BOARD_PIDS - 1);
	rule->pid = (uint32_t)pid;
	return 0;
}

static int parse_subject(struct alert_rule *rule, struct span word, struct err *err)
{
	char quoted[QUOTE_TEXT];
	struct span rest;

	if (span_equals(word, "node")) {
		rule->subject = ALERT_NODE;
		return 0;
	}
	if ((rest = after(word, "pid/")).p) {
		rule->subject = ALERT_PID;
		return parse_pid(rule, rest, err);
	}
	if ((rest = after(word, "by-name/")).p || (rest = after(word, "each/")).p) {
		rule->subject = word.p[0] == 'b' ? ALERT_BY_NAME : ALERT_EACH;
		return parse_comm(rule, rest, err);
	}
	return err_set(err, EINVAL, "the subject is node, pid/N, by-name/X or each/X, not \"%s\"",
		quote(quoted, word));
}

static int parse_metric(struct alert_rule *rule, struct span word, struct err *err)
{
	const struct metric_list *list = list_of(rule->subject);
	enum metric_window window;
	char quoted[QUOTE_TEXT];

	rule->rate = ALERT_NO_RATE;
	rule->metric = ALERT_COUNT;
	if (rule->subject == ALERT_BY_NAME && span_equals(word, "count"))
		return 0;
	rule->metric = metric_by_stat_key(list, word);
	if (rule->metric >= 0)
		return 0;
	rule->rate = metric_rate_by_key(list, word, &window);
	if (rule->rate < 0)
		return err_set(err, EINVAL, "%s has no \"%s\" in its stat or rate%s",
			rule->subject == ALERT_NODE ? "a node" : "a process", quote(quoted, word),
			rule->subject >= ALERT_BY_NAME
				? "; a blank in a name is an escape, as events.md has it"
				: "");
	rule->metric = (int32_t)metric_rate_metric(list, (unsigned)rule->rate);
	rule->window = window;
	return 0;
}

static int parse_op(struct alert_rule *rule, struct span word, struct err *err)
{
	char quoted[QUOTE_TEXT];

	for (uint32_t op = 0; op < N_ALERT_OPS; op++) {
		if (span_equals(word, op_name[op])) {
			rule->op = op;
			return 0;
		}
	}
	return err_set(
		err, EINVAL, "the comparison is one of > >= < <= == !=, not \"%s\"", quote(quoted, word));
}

static enum metric_unit unit_of(const struct alert_rule *rule)
{
	return rule->metric < 0 ? METRIC_COUNT : list_of(rule->subject)->rows[rule->metric].unit;
}

/* "12", "12.5", "12.50%" as hundredths. */
static bool parse_percent(struct span word, uint64_t *ret_hundredths)
{
	const char *at = word.p, *end = word.p + word.n;
	uint64_t whole, part = 0;

	if (at < end && end[-1] == '%')
		end--;
	if (!num_parse_u64(&at, end, &whole) || whole > INT64_MAX / 1000)
		return false;
	if (at < end && *at == '.') {
		const char *digits = ++at;
		if (!num_parse_u64(&at, end, &part) || at - digits > 2)
			return false;
		part *= at - digits == 1 ? 10 : 1;
	}
	*ret_hundredths = whole * 100 + part;
	return at == end;
}

static int parse_limit(struct alert_rule *rule, struct span word, struct err *err)
{
	static const char *const what[] = { [METRIC_BYTES] = "a size, with K M G T or without",
		[METRIC_COUNT] = "a number",
		[METRIC_PERCENT] = "a percentage with up to two decimals" };
	enum metric_unit unit = unit_of(rule);
	bool negative = rule->rate >= 0 && word.n > 1 && word.p[0] == '-';
	struct span digits = { word.p + negative, word.n - negative };
	char quoted[QUOTE_TEXT];
	uint64_t value = 0;
	bool fits = unit == METRIC_PERCENT ? parse_percent(digits, &value)
		    : unit == METRIC_BYTES ? num_parse_size(digits.p, digits.n, &value)
					   : num_parse_whole(digits.p, digits.n, &value);

	if (!fits || value > INT64_MAX)
		return err_set(err, EINVAL, "the value is %s%s, not \"%s\"", what[unit],
			rule->rate >= 0 ? ", a second, - before it or not" : "", quote(quoted, word));
	rule->limit = negative ? -(int64_t)value : (int64_t)value;
	return 0;
}

static int parse_for(struct alert_rule *rule, struct span rest, struct err *err)
{
	char quoted[QUOTE_TEXT];
	struct span word, seconds, more;
	uint64_t value;

	if (!span_word(&rest, &word))
		return 0;
	if (!span_equals(word, "for") || !span_word(&rest, &seconds) || span_word(&rest, &more))
		return err_set(err, EINVAL, "after the value comes nothing, or `for SECONDS`");
	if (!num_parse_whole(seconds.p, seconds.n, &value))
		return err_set(err, EINVAL, "`for` takes seconds, not \"%s\"", quote(quoted, seconds));
	if (value > ALERT_FOR_MAX_S)
		return err_set(err, ERANGE, "`for` takes up to %d seconds", ALERT_FOR_MAX_S);
	rule->for_s = (uint32_t)value;
	return 0;
}

int alert_rule_parse(struct span line, struct alert_rule *ret, struct err *err)
{
	typedef int word_fn(struct alert_rule * rule, struct span word, struct err * err);
	static word_fn *const words[] = { parse_subject, parse_metric, parse_op, parse_limit };
	char quoted[QUOTE_TEXT];
	struct alert_rule rule;
	struct span word;

	memset(&rule, 0, sizeof(rule));
	if (!span_word(&line, &word) || !is_name(word))
		return err_set(err, EINVAL,
			"an alert's name has 1 to %d of [A-Za-z0-9._-], no - first; \"%s\" has not",
			NOTE_NAME_MAX, quote(quoted, word));
	memcpy(rule.name, word.p, word.n);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!span_word(&line, &word))
			return err_set(err, EINVAL, "an alert is NAME SUBJECT METRIC OP VALUE [for SECONDS]");
		int r = words[i](&rule, word, err);
		if (r)
			return r;
	}
	int r = parse_for(&rule, line, err);
	if (r)
		return r;
	memcpy(ret, &rule, sizeof(rule));
	return 0;
}

/* --- and back --- */

static void put_comm(struct buf *out, const char *comm)
{
	for (const char *c = comm; *c; c++) {
		if (*c == ' ')
			buf_puts(out, "\\040");
		else
			buf_put_escaped(out, c, 1);
	}
}

static void put_subject(struct buf *out, const struct alert_rule *rule)
{
	switch ((enum alert_subject)rule->subject) {
	case ALERT_PID:
		buf_puts(out, "pid/");
		buf_put_u64(out, rule->pid);
		break;
	case ALERT_BY_NAME:
	case ALERT_EACH:
		buf_puts(out, rule->subject == ALERT_EACH ? "each/" : "by-name/");
		put_comm(out, rule->comm);
		break;
	default:
		buf_puts(out, "node");
	}
}

static void put_metric(struct buf *out, const struct alert_rule *rule)
{
	if (rule->metric < 0) {
		buf_puts(out, "count");
		return;
	}
	const struct metric *metric = &list_of(rule->subject)->rows[rule->metric];
	if (rule->rate < 0) {
		metric_put_stat_key(out, metric);
		return;
	}
	struct span name = metric_rate_name(metric);
	buf_put(out, name.p, name.n);
	buf_putc(out, '_');
	buf_puts(out, metric_window_name[rule->window]);
}

static void put_value(struct buf *out, const struct alert_rule *rule, int64_t value)
{
	if (unit_of(rule) == METRIC_PERCENT && rule->rate < 0)
		buf_printf(out, "%lld.%02d", (long long)(value / 100), (int)(value % 100));
	else
		buf_put_i64(out, value);
}

static void put_bound(struct buf *out, const struct alert_rule *rule)
{
	buf_printf(out, " %s ", op_name[rule->op]);
	put_value(out, rule, rule->limit);
}

void alert_rule_render_finding(struct buf *out, const struct alert_rule *rule, const int64_t *value)
{
	put_metric(out, rule);
	buf_putc(out, ' ');
	if (value)
		put_value(out, rule, *value);
	else
		buf_putc(out, '-');
	put_bound(out, rule);
}

void alert_rule_render(struct buf *out, const struct alert_rule *rule)
{
	buf_puts(out, rule->name);
	buf_putc(out, ' ');
	put_subject(out, rule);
	buf_putc(out, ' ');
	put_metric(out, rule);
	put_bound(out, rule);
	if (rule->for_s)
		buf_printf(out, " for %u", rule->for_s);
}

int alert_rule_line(struct span line, struct buf *out, struct err *err)
{
	struct alert_rule rule;
	int r = alert_rule_parse(line, &rule, err);

	if (!r)
		alert_rule_render(out, &rule);
	return r;
}

bool alert_rule_same(const struct alert_rule *a, const struct alert_rule *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool alert_rule_holds(const struct alert_rule *rule, int64_t value)
{
	switch ((enum alert_op)rule->op) {
	case ALERT_GT:
		return value > rule->limit;
	case ALERT_GE:
		return value >= rule->limit;
	case ALERT_LT:
		return value < rule->limit;
	case ALERT_LE:
		return value <= rule->limit;
	case ALERT_EQ:
		return value == rule->limit;
	case ALERT_NE:
		return value != rule->limit;
	default:
		return false;
	}
}
