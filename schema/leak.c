/* SPDX-License-Identifier: MIT */
#include "schema/leak.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "schema/base/num.h"
#include "schema/base/quote.h"

static const struct {
	const char *word;
	enum shadow_mode mode;
	bool sampled;
} modes[] = {
	{ "off", SHADOW_OFF, false },
	{ "exact", SHADOW_EXACT, false },
	{ "sample", SHADOW_SAMPLE, true },
	{ "stacks", SHADOW_STACK, true },
};
enum { N_MODES = sizeof(modes) / sizeof(*modes) };

const char *const leak_count_key[N_LEAK_COUNTS] = {
#define LEAK_COUNT(name, doc) [LEAK_COUNT_##name] = #name,
#include "schema/leak_counts.def"
#undef LEAK_COUNT
};

static const size_t count_at[N_LEAK_COUNTS] = {
#define LEAK_COUNT(name, doc) [LEAK_COUNT_##name] = offsetof(struct leak_stat, name),
#include "schema/leak_counts.def"
#undef LEAK_COUNT
};

uint64_t leak_count_get(const struct leak_stat *stat, unsigned count)
{
	uint64_t value;

	memcpy(&value, (const char *)stat + count_at[count], sizeof(value));
	return value;
}

void leak_count_set(struct leak_stat *stat, unsigned count, uint64_t value)
{
	memcpy((char *)stat + count_at[count], &value, sizeof(value));
}

int leak_trace_parse(struct leak_trace *ret_trace, struct span text, struct err *err)
{
	struct span line, word, rate, more;
	char quoted[QUOTE_TEXT];
	struct leak_trace trace = { 0 };
	unsigned i = 0;

	if (!span_line(&text, &line) || text.n || !span_word(&line, &word))
		return err_set(err, EINVAL, "trace takes off, exact, sample [BYTES] or stacks [BYTES]");
	while (i < N_MODES && !span_equals(word, modes[i].word))
		i++;
	if (i == N_MODES)
		return err_set(err, EINVAL,
			"trace takes off, exact, sample [BYTES] or stacks [BYTES], not \"%s\"",
			quote(quoted, word));
	trace.mode = modes[i].mode;
	trace.rate_bytes = modes[i].sampled ? SHADOW_SAMPLE_BYTES : 0;
	if (span_word(&line, &rate)) {
		if (!modes[i].sampled)
			return err_set(err, EINVAL, "%s takes nothing behind it", modes[i].word);
		if (!num_parse_size(rate.p, rate.n, &trace.rate_bytes))
			return err_set(err, EINVAL,
				"%s takes the bytes between two samples, such as 512K, not \"%s\"",
				modes[i].word, quote(quoted, rate));
		if (trace.rate_bytes < LEAK_RATE_MIN || trace.rate_bytes > LEAK_RATE_MAX)
			return err_set(err, ERANGE,
				"%s takes from %d to %" PRIu64 " bytes between two samples", modes[i].word,
				LEAK_RATE_MIN, LEAK_RATE_MAX);
	}
	if (span_word(&line, &more))
		return err_set(err, EINVAL, "%s takes one number at most", modes[i].word);
	*ret_trace = trace;
	return 0;
}

void leak_trace_put(struct buf *out, const struct leak_trace *trace)
{
	unsigned i = N_MODES;

	while (--i && modes[i].mode != trace->mode)
		;
	buf_puts(out, modes[i].word);
	if (modes[i].sampled) {
		buf_putc(out, ' ');
		buf_put_u64(out, trace->rate_bytes);
	}
}

int leak_site_compare(const struct leak_site *a, const struct leak_site *b)
{
	if (a->suspect_bytes != b->suspect_bytes)
		return a->suspect_bytes < b->suspect_bytes ? 1 : -1;
	if (a->live_bytes != b->live_bytes)
		return a->live_bytes < b->live_bytes ? 1 : -1;
	return a->caller < b->caller ? -1 : a->caller > b->caller;
}
