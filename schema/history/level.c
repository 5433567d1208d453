/* SPDX-License-Identifier: MIT */
#include "schema/history/level.h"

const char *const level_name[N_LEVELS] = { "seconds", "minutes", "hours" };
const unsigned level_seconds[N_LEVELS] = { 1, 60, 3600 };
const unsigned level_key_period[N_LEVELS] = { 1, 60, 24 };

enum { HOUR_S = 3600, DAY_S = 86400 };

enum level level_of_duration(uint32_t seconds)
{
	return seconds <= 3 * HOUR_S ? LEVEL_SECONDS : seconds <= 4 * DAY_S ? LEVEL_MINUTES : LEVEL_HOURS;
}

void level_columns_init(struct level_columns *columns, const struct metric_list *list)
{
	*columns = (struct level_columns) { .list = list };
	for (unsigned i = 0; i < list->n; i++) {
		if (!(list->rows[i].where & METRIC_HISTORY))
			continue;
		if (list->rows[i].kind == METRIC_COUNTER)
			columns->counters |= UINT64_C(1) << columns->n;
		columns->metric[columns->n++] = (uint8_t)i;
	}
}

bool level_row_is_constant(const struct level_row *row, uint64_t counters)
{
	for (uint64_t left = row->present & ~counters; left; left &= left - 1) {
		unsigned c = (unsigned)__builtin_ctzll(left);
		if (row->value[c] != row->max[c])
			return false;
	}
	return true;
}

static void average(struct level_row *row, unsigned column, const uint64_t *value, uint64_t present)
{
	unsigned n = (unsigned)__builtin_popcountll(present);
	uint64_t max = 0;
	level_wide sum = 0;

	for (; present; present &= present - 1) {
		uint64_t one = value[__builtin_ctzll(present)];
		sum += one;
		max = one > max ? one : max;
	}
	row->value[column] = (uint64_t)(sum / n);
	row->max[column] = max;
}

void level_of_minute(struct level_row *ret_row, const struct pack_minute *minute, uint64_t counters)
{
	ret_row->samples = (unsigned)__builtin_popcountll(minute->seconds);
	ret_row->ended = false;
	ret_row->present = 0;
	for (unsigned c = 0; c < minute->n_metrics; c++) {
		uint64_t present = minute->present[c];

		if (!present)
			continue;
		ret_row->present |= UINT64_C(1) << c;
		if (counters >> c & 1)
			ret_row->value[c] = ret_row->max[c] = minute->value[c][63 - __builtin_clzll(present)];
		else
			average(ret_row, c, minute->value[c], present);
	}
}

void level_sum_init(struct level_sum *sum)
{
	sum->samples = 0;
	sum->ended = false;
	sum->present = 0;
}

void level_sum_add(
	struct level_sum *sum, unsigned samples, uint64_t present, const uint64_t *value, const uint64_t *max)
{
	for (uint64_t left = present; left; left &= left - 1) {
		unsigned c = (unsigned)__builtin_ctzll(left);

		if (!(sum->present >> c & 1)) {
			sum->weight[c] = 0;
			sum->sum[c] = 0;
			sum->max[c] = 0;
		}
		sum->weight[c] += samples;
		sum->sum[c] += (level_wide)value[c] * samples;
		sum->max[c] = max[c] > sum->max[c] ? max[c] : sum->max[c];
		sum->last[c] = value[c];
	}
	sum->samples += samples;
	sum->present |= present;
}

void level_sum_row(struct level_row *ret_row, const struct level_sum *sum, uint64_t counters)
{
	ret_row->samples = sum->samples;
	ret_row->ended = sum->ended;
	ret_row->present = sum->present;
	for (uint64_t left = sum->present; left; left &= left - 1) {
		unsigned c = (unsigned)__builtin_ctzll(left);
		bool counts = counters >> c & 1 || !sum->weight[c];

		ret_row->value[c] = counts ? sum->last[c] : (uint64_t)(sum->sum[c] / sum->weight[c]);
		ret_row->max[c] = counts ? sum->last[c] : sum->max[c];
	}
}
