/* SPDX-License-Identifier: MIT */
#include "preload/settings.h"

#include <string.h>

static bool number_parse(const char **p, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *digit = *p;

	for (; *digit >= '0' && *digit <= '9'; digit++)
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*digit - '0'), &value))
			return false;
	if (digit == *p)
		return false;
	*p = digit;
	*ret_value = value;
	return true;
}

/* To the end of the text. */
static bool bytes_parse(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "kKmMgGtT";
	const char *unit;
	uint64_t value;

	if (!number_parse(&text, &value))
		return false;
	if (*text) {
		unit = strchr(units, *text);
		if (!unit || text[1] ||
			__builtin_mul_overflow(value, UINT64_C(1024) << (unit - units) / 2 * 10, &value))
			return false;
	}
	*ret_bytes = value;
	return true;
}

bool settings_trace_parse(const char *text, uint64_t *ret_control)
{
	static const struct {
		const char *word;
		enum shadow_mode mode;
		bool has_rate;
	} modes[] = { { "off", SHADOW_OFF, false }, { "exact", SHADOW_EXACT, false },
		{ "sample", SHADOW_SAMPLE, true }, { "stacks", SHADOW_STACK, true } };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		size_t len = strlen(modes[i].word);
		uint64_t rate = modes[i].has_rate ? SHADOW_SAMPLE_BYTES : 0;

		if (strncmp(text, modes[i].word, len) != 0 || (text[len] && text[len] != ' '))
			continue;
		text += len;
		while (*text == ' ')
			text++;
		if (*text && (!modes[i].has_rate || !bytes_parse(text, &rate) || !rate ||
				     rate >> (64 - SHADOW_RATE_SHIFT)))
			return false;
		*ret_control = shadow_control(modes[i].mode, rate);
		return true;
	}
	return false;
}

bool settings_handed_parse(const char *text, int *ret_fd, uint64_t *ret_inode)
{
	uint64_t fd, inode;

	if (!number_parse(&text, &fd) || fd > INT32_MAX || *text++ != ':' || !number_parse(&text, &inode) ||
		*text)
		return false;
	*ret_fd = (int)fd;
	*ret_inode = inode;
	return true;
}

const char *settings_variable(char *const *environment, const char *name)
{
	size_t len = strlen(name);

	for (; environment && *environment; environment++)
		if (!strncmp(*environment, name, len) && (*environment)[len] == '=')
			return *environment + len + 1;
	return NULL;
}

void settings_read(char *const *environment)
{
	const char *text = settings_variable(environment, SHADOW_TRACE_VARIABLE);

	if (text && settings_trace_parse(text, &shim.first_control))
		shim.first_driver = SHADOW_BY_ENVIRONMENT;
	text = settings_variable(environment, SHADOW_RUN_VARIABLE);
	if (text && strlen(text) < sizeof(shim.run_dir))
		memcpy(shim.run_dir, text, strlen(text) + 1);
	text = settings_variable(environment, SHADOW_FOLLOW_VARIABLE);
	shim.follow = !text || strcmp(text, "no") != 0;
}
