/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_stat.h"
#include "schema/base/num.h"

#include <string.h>

/* Fields behind the name, numbered from the state as proc(5) numbers them. */
enum {
	FIELD_STATE = 3,
	FIELD_PPID = 4,
	FIELD_FLAGS = 9,
	FIELD_MINOR_FAULTS = 10,
	FIELD_MAJOR_FAULTS = 12,
	FIELD_THREADS = 20,
	FIELD_START = 22,
	FIELD_VSIZE = 23,
	FIELD_CODE_START = 26,
	FIELD_STACK_START = 28,
	FIELD_WCHAN = 35,
	FIELD_EXIT_CODE = 52, /* since Linux 3.5 */
};

static bool parse_u32(struct span word, uint32_t *ret_value)
{
	uint64_t wide;

	if (!num_parse_whole(word.p, word.n, &wide) || wide > UINT32_MAX)
		return false;
	*ret_value = (uint32_t)wide;
	return true;
}

static bool parse_field(struct pid_stat *stat, int field, struct span word)
{
	switch (field) {
	case FIELD_STATE:
		stat->state = word.p[0];
		return word.n == 1 && (stat->state | 0x20) >= 'a' && (stat->state | 0x20) <= 'z';
	case FIELD_PPID:
		return parse_u32(word, &stat->ppid);
	case FIELD_FLAGS:
		return parse_u32(word, &stat->flags);
	case FIELD_MINOR_FAULTS:
		return num_parse_whole(word.p, word.n, &stat->minor_faults);
	case FIELD_MAJOR_FAULTS:
		return num_parse_whole(word.p, word.n, &stat->major_faults);
	case FIELD_THREADS:
		return parse_u32(word, &stat->threads);
	case FIELD_START:
		return num_parse_whole(word.p, word.n, &stat->start_ticks);
	case FIELD_VSIZE:
		return num_parse_whole(word.p, word.n, &stat->vsize_bytes);
	default:
		return true; /* signed, or of no use here */
	}
}

/*
 * How a zombie ended. Whom the kernel does not want to know it is told 0; but then wchan is 0 too, which is
 * not so of a task that does not run.
 */
static void parse_ending(struct pid_stat *stat, struct span rest)
{
	struct span word;
	uint64_t number, wchan = 0;

	for (int field = FIELD_VSIZE + 1; span_word(&rest, &word); field++) {
		if (field == FIELD_WCHAN && !num_parse_whole(word.p, word.n, &wchan))
			return;
		if (field != FIELD_EXIT_CODE)
			continue;
		/* The last field: without its newline it may have been cut. */
		bool whole = rest.n || word.p[word.n - 1] == '\n';
		if (!whole || !num_parse_whole(word.p, word.n - !rest.n, &number) || number > UINT16_MAX)
			return;
		stat->has_wait_status = number || wchan;
		stat->wait_status = (int)number;
	}
}

bool pid_stat_parse(struct pid_stat *ret, const char *text, size_t len)
{
	struct pid_stat stat = { 0 };
	const char *at = text, *end = len ? text + len : text;
	const char *close = len ? memrchr(text, ')', len) : NULL;
	uint64_t pid;

	if (!close || !num_parse_u64(&at, end, &pid) || pid > UINT32_MAX || end - at < 2 || at[0] != ' ' ||
		at[1] != '(')
		return false;
	at += 2;
	/* The name may hold parentheses and newlines; what follows it holds neither, so the last one closes
	 * it. */
	if (close < at || (size_t)(close - at) >= sizeof(stat.comm))
		return false;
	stat.pid = (uint32_t)pid;
	stat.comm_len = (uint32_t)(close - at);
	memcpy(stat.comm, at, stat.comm_len);

	struct span rest = { close + 1, (size_t)(end - close - 1) }, word;
	for (int field = FIELD_STATE; field <= FIELD_VSIZE; field++) {
		if (!span_word(&rest, &word) || !parse_field(&stat, field, word))
			return false;
	}
	/* Every kernel has fields behind vsize; a text that ends there may have been cut within the number.
	 */
	if (!rest.n)
		return false;
	if (stat.state == 'Z')
		parse_ending(&stat, rest);
	*ret = stat;
	return true;
}

uint64_t pid_stat_image(const char *text, size_t len)
{
	const char *close = len ? memrchr(text, ')', len) : NULL;
	uint64_t image = 0, value;

	if (!close)
		return 0;
	struct span rest = { close + 1, (size_t)(text + len - close - 1) }, word;
	for (int field = FIELD_STATE; field <= FIELD_STACK_START; field++) {
		if (!span_word(&rest, &word))
			return 0;
		if (field < FIELD_CODE_START)
			continue;
		/* Whoever may not know is told 0 or 1. */
		if (!num_parse_whole(word.p, word.n, &value) || value <= 1)
			return 0;
		image = (image ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	}
	return rest.n ? image : 0;
}

void pid_stat_values(struct process_values *values, const struct pid_stat *stat)
{
	process_values_set(values, PROCESS_MINOR_FAULTS, stat->minor_faults);
	process_values_set(values, PROCESS_MAJOR_FAULTS, stat->major_faults);
}
