/* SPDX-License-Identifier: MIT */
#include "schema/proc/kmsg.h"

#include <string.h>

#include "schema/base/num.h"

/* A number that `after` follows; *at moves behind that. */
static bool take_number(const char **at, const char *end, char after, uint64_t *ret)
{
	const char *p = *at;

	if (!num_parse_u64(&p, end, ret) || p == end || *p != after)
		return false;
	*at = p + 1;
	return true;
}

bool kmsg_record_parse(struct kmsg_record *ret, const char *record, size_t len)
{
	const char *at = record, *end = len ? record + len : record;
	const char *text = len ? memchr(record, ';', len) : NULL;
	uint64_t prefix, seq, time_us;

	if (!text || !take_number(&at, text, ',', &prefix) || !take_number(&at, text, ',', &seq) ||
		!take_number(&at, text, ',', &time_us))
		return false;
	text++;
	const char *newline = memchr(text, '\n', (size_t)(end - text));
	/* A record ends with a newline: what has none was cut. */
	if (!newline || prefix >> 3 > UINT32_MAX)
		return false;
	*ret = (struct kmsg_record) { (uint32_t)(prefix >> 3), seq, time_us,
		{ text, (size_t)(newline - text) } };
	return true;
}

static bool starts_with(struct span text, const char *start)
{
	size_t n = strlen(start);

	return text.n >= n && !memcmp(text.p, start, n);
}

/* "1234 (name)", and whatever follows. */
static bool take_process(struct span text, uint32_t *ret_pid)
{
	const char *at = text.p, *end = text.p + text.n;
	uint64_t pid;

	if (!num_parse_u64(&at, end, &pid) || !pid || pid > INT32_MAX || end - at < 3 || at[0] != ' ' ||
		at[1] != '(')
		return false;
	*ret_pid = (uint32_t)pid;
	return true;
}

bool kmsg_oom_parse(struct kmsg_oom *ret, struct span text)
{
	/* What stands before the victim: nothing up to Linux 5.0, where a line before it names who was
	 * chosen, which a child of it could replace. */
	static const struct {
		const char *start;
		enum kmsg_oom_kind kind;
	} messages[] = {
		{ "Killed process ", KMSG_OOM_KILLED },
		{ "Out of memory: Killed process ", KMSG_OOM_KILLED },
		{ "Out of memory (oom_kill_allocating_task): Killed process ", KMSG_OOM_KILLED },
		{ "Memory cgroup out of memory: Killed process ", KMSG_OOM_KILLED },
		{ "oom_reaper: reaped process ", KMSG_OOM_REAPED },
	};

	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		size_t n = strlen(messages[i].start);
		uint32_t pid;

		if (!starts_with(text, messages[i].start) ||
			!take_process((struct span) { text.p + n, text.n - n }, &pid))
			continue;
		*ret = (struct kmsg_oom) { messages[i].kind, pid };
		return true;
	}
	return false;
}
