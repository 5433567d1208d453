/* SPDX-License-Identifier: MIT */
/* The codecs of packed history: what goes in comes out, and what is torn is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "schema/history/pack.h"
#include "schema/history/pack_varint.h"

/* A small generator of our own: the same series on every machine. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void assert_same_minute(const struct pack_minute *a, const struct pack_minute *b)
{
	assert_int_equal(a->n_metrics, b->n_metrics);
	assert_true(a->seconds == b->seconds);
	for (unsigned m = 0; m < a->n_metrics; m++) {
		assert_true(a->present[m] == b->present[m]);
		for (uint64_t left = a->present[m]; left; left &= left - 1) {
			unsigned s = (unsigned)__builtin_ctzll(left);
			assert_true(a->value[m][s] == b->value[m][s]);
		}
	}
}

/* By sample, and of one second, the same is read. */
static void assert_same_samples(const struct pack_minute *minute, const void *bytes, size_t len)
{
	struct pack_rows *rows = malloc(sizeof(*rows));
	uint64_t value[PACK_METRICS_MAX];
	unsigned i = 0;

	memset(rows, 0xa5, sizeof(*rows));
	assert_true(pack_minute_rows(rows, bytes, len));
	assert_int_equal(rows->n_metrics, minute->n_metrics);
	assert_true(rows->seconds == minute->seconds);
	for (unsigned s = 0; s < PACK_SECONDS; s++) {
		bool has = minute->seconds >> s & 1;
		uint64_t present = 7, expected = 0;

		for (unsigned m = 0; m < minute->n_metrics; m++)
			expected |= (minute->present[m] >> s & 1) << m;
		assert_int_equal(
			pack_minute_at(bytes, len, s, &present, value), has ? PACK_SAMPLE : PACK_NONE);
		assert_true(present == expected);
		for (unsigned m = 0; m < minute->n_metrics; m++) {
			if (!(expected >> m & 1))
				continue;
			assert_true(value[m] == minute->value[m][s]);
			assert_true(rows->value[i * rows->n_metrics + m] == minute->value[m][s]);
		}
		if (has)
			assert_true(rows->present[i++] == expected);
	}
	assert_int_equal(rows->n, i);
	free(rows);
}

static size_t round_trip(const struct pack_minute *minute)
{
	struct pack_minute *back = malloc(sizeof(*back));
	struct buf buf = BUF_INIT;
	size_t len;

	memset(back, 0xa5, sizeof(*back));
	pack_minute_encode(&buf, minute);
	assert_int_equal(buf_error(&buf), 0);
	assert_true(pack_minute_decode(back, buf.data, buf.len));
	assert_same_minute(minute, back);
	assert_same_samples(minute, buf.data, buf.len);
	/* Cut anywhere it is no minute, and with a byte more neither. */
	for (size_t cut = 0; cut < buf.len; cut++)
		assert_false(pack_minute_decode(back, buf.data, cut));
	len = buf.len;
	buf_putc(&buf, 0);
	assert_false(pack_minute_decode(back, buf.data, buf.len));
	buf_deinit(&buf);
	free(back);
	return len;
}

static void numbers_keep_all_their_bits(void **state)
{
	uint64_t seed = 88172645463325252u;

	for (unsigned i = 0; i < 200000; i++) {
		uint64_t v = next_random(&seed) >> (next_random(&seed) & 63);
		uint8_t bytes[VARINT_MAX];
		const uint8_t *at = bytes, *end;
		uint64_t back;

		if (i & 1)
			v = 0 - v;
		if (i & 2)
			v <<= 12;
		end = varint_put(bytes, v);
		assert_true(end - bytes <= VARINT_MAX);
		assert_true(varint_get(&at, end, &back) && back == v && at == end);
		end = paged_put(bytes, v);
		assert_true(end - bytes <= VARINT_MAX);
		at = bytes;
		assert_true(paged_get(&at, end, &back) && back == v && at == end);
		at = bytes;
		assert_false(paged_get(&at, end - 1, &back));
	}
}

static void numbers_of_more_bits_are_refused(void **state)
{
	const uint8_t wide[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 };
	const uint8_t endless[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 };
	const uint8_t *at = wide;
	uint64_t v = 7;

	assert_false(varint_get(&at, wide + sizeof(wide), &v));
	at = endless;
	assert_false(varint_get(&at, endless + sizeof(endless), &v));
	at = endless;
	assert_false(varint_get(&at, endless, &v));
	assert_true(v == 7 && at == endless);
}

static void an_idle_minute_is_small(void **state)
{
	struct pack_minute minute;
	uint64_t value[9] = { 5 << 20, 200 << 20, 4096, 0, 1 << 20, 0, 0, 123, 0 };

	pack_minute_init(&minute, 9);
	for (unsigned s = 0; s < 60; s++)
		pack_minute_set(&minute, s, 0x1ff, value);
	assert_true(round_trip(&minute) < 30);
}

static void extremes_survive(void **state)
{
	static const uint64_t corner[] = { 0, 1, UINT64_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1, 4096,
		0 - UINT64_C(4096) };
	struct pack_minute minute;
	uint64_t value[64];

	pack_minute_init(&minute, 64);
	for (unsigned s = 0; s < 60; s++) {
		for (unsigned m = 0; m < 64; m++)
			value[m] = corner[(s * (m + 1) + m) % 7];
		pack_minute_set(&minute, s, UINT64_MAX, value);
	}
	round_trip(&minute);
	pack_minute_init(&minute, 0);
	round_trip(&minute);
	pack_minute_init(&minute, 3);
	pack_minute_set(&minute, 59, 0, value); /* alive, and nothing known of it */
	round_trip(&minute);
	pack_minute_set(&minute, 0, 5, value);
	round_trip(&minute);
}

static void any_minute_survives(void **state)
{
	uint64_t seed = 1234567;

	for (unsigned round = 0; round < 400; round++) {
		struct pack_minute minute;
		uint64_t value[64] = { 0 }, holes = next_random(&seed), absent = next_random(&seed);
		unsigned n = (unsigned)(next_random(&seed) % 65), shift = (unsigned)(next_random(&seed) % 60);

		pack_minute_init(&minute, n);
		for (unsigned s = 0; s < 60; s++) {
			uint64_t present = round % 3 ? UINT64_MAX : next_random(&seed) | ~absent;

			if (round % 2 && holes >> s & 1)
				continue;
			for (unsigned m = 0; m < n; m++) {
				if (next_random(&seed) % 3 == 0)
					value[m] += (next_random(&seed) >> 50 << shift) -
						    (UINT64_C(8192) << shift);
			}
			pack_minute_set(
				&minute, s, present & (n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX), value);
		}
		round_trip(&minute);
	}
}

static void a_later_sample_replaces(void **state)
{
	struct pack_minute a, b;
	uint64_t one[2] = { 1, 2 }, two[2] = { 3, 4 };

	pack_minute_init(&a, 2);
	pack_minute_set(&a, 5, 3, one);
	pack_minute_set(&a, 5, 2, two);
	assert_true(a.present[0] == 0 && a.present[1] == 1 << 5 && a.value[1][5] == 4);
	pack_minute_init(&b, 2);
	pack_minute_set(&b, 5, 3, one);
	pack_minute_set(&b, 6, 1, one);
	pack_minute_merge(&a, &b);
	assert_true(a.seconds == (1 << 5 | 1 << 6));
	assert_true(a.present[0] == 1 << 6 && a.value[0][6] == 1); /* second 5 stays what a says: absent */
	assert_true(a.present[1] == 1 << 5 && a.value[1][5] == 4);
}

/* --- ticks --- */

enum { SUBJECTS = 150, METRICS = 9, TICKS = 200, MARKED = 2 /* of the head */ };

struct model {
	bool alive;
	uint64_t present, value[METRICS];
};

/* A random life of subjects, written as ticks and followed one by one. */
static void ticks_follow_every_subject(void **state)
{
	static struct model model[TICKS][SUBJECTS];
	static struct buf tick[TICKS];
	uint64_t seed = 42;

	for (unsigned t = 0; t < TICKS; t++) {
		bool key = t % 60 == 0;
		struct pack_tick writing;

		tick[t] = BUF_INIT;
		pack_tick_begin(&writing, &tick[t], key);
		for (unsigned i = 0; i < SUBJECTS; i++) {
			struct model *now = &model[t][i], *was = t ? &model[t - 1][i] : now;
			struct pack_entry entry = { .subject = i * 3 };

			*now = *was;
			if (next_random(&seed) % 8 == 0) {
				now->alive = !now->alive || next_random(&seed) % 4;
				now->present = next_random(&seed) & ((1 << METRICS) - 1);
				for (unsigned m = 0; m < METRICS; m++)
					now->value[m] =
						now->present >> m & 1 ? next_random(&seed) >> (m * 7) : 0;
				if (!now->alive)
					memset(now, 0, sizeof(*now));
			} else if (!key) {
				continue;
			}
			if (!now->alive && (key || !was->alive))
				continue;
			entry.ended = !now->alive;
			entry.present = now->present;
			entry.value = now->value;
			if (!key && was->alive) {
				entry.before_present = was->present;
				entry.before_value = was->value;
			}
			pack_tick_put(&writing, &entry);
		}
		pack_tick_end(&writing);
		assert_int_equal(buf_error(&tick[t]), 0);
	}
	assert_true(tick[180].data[0] & MARKED && !(tick[0].data[0] & MARKED));
	for (unsigned i = 0; i < SUBJECTS; i++) {
		struct pack_follow follow = { .subject = i * 3 }, nobody = { .subject = i * 3 + 1 };

		for (unsigned t = 0; t < TICKS; t++) {
			assert_true(pack_tick_follow(&follow, tick[t].data, tick[t].len));
			assert_true(pack_tick_follow(&nobody, tick[t].data, tick[t].len));
			assert_false(nobody.alive);
			assert_int_equal(follow.alive, model[t][i].alive);
			assert_true(follow.present == model[t][i].present);
			assert_memory_equal(follow.value, model[t][i].value, sizeof(model[t][i].value));
		}
	}
	/* From any key tick on, without those before. */
	struct pack_follow late = { .subject = 9 };
	for (unsigned t = 120; t < TICKS; t++)
		assert_true(pack_tick_follow(&late, tick[t].data, tick[t].len));
	assert_int_equal(late.alive, model[TICKS - 1][3].alive);
	assert_true(late.present == model[TICKS - 1][3].present);
	for (unsigned t = 0; t < TICKS; t++)
		buf_deinit(&tick[t]);
}

/* A tick of n subjects: 7, 17, 27 ... */
static void put_crowd(struct buf *out, unsigned n)
{
	struct pack_tick tick;

	pack_tick_begin(&tick, out, false);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t value[2] = { i << 12, i * 1000003 };
		struct pack_entry entry = { .subject = (int64_t)i * 10 + 7, .present = 3, .value = value };

		pack_tick_put(&tick, &entry);
	}
	pack_tick_end(&tick);
	assert_int_equal(buf_error(out), 0);
}

static enum pack_step walk(const struct buf *tick, size_t *ret_n)
{
	struct pack_cursor cursor;
	struct pack_change change;
	enum pack_step step;

	*ret_n = 0;
	if (!pack_tick_open(&cursor, tick->data, tick->len))
		return PACK_BAD;
	while ((step = pack_tick_next(&cursor, &change)) == PACK_ENTRY)
		++*ret_n;
	return step;
}

/* Around every number of entries at which a mark is due, each subject is found, and nobody else is. */
static void marks_lead_to_every_subject(void **state)
{
	for (unsigned n = 0; n < 140; n++) {
		struct buf buf = BUF_INIT;
		size_t walked;

		buf_puts(&buf, "before it"); /* marks count from where the tick begins */
		put_crowd(&buf, n);
		struct buf tick = { .data = buf.data + 9, .len = buf.len - 9 };
		assert_int_equal(!!(tick.data[0] & MARKED), n > 32);
		assert_int_equal(walk(&tick, &walked), PACK_END);
		assert_int_equal(walked, n);
		for (int64_t subject = 0; subject < n * 10 + 20; subject++) {
			struct pack_follow follow = { .subject = subject };

			assert_true(pack_tick_follow(&follow, tick.data, tick.len));
			assert_int_equal(follow.alive, subject % 10 == 7 && subject / 10 < n);
			assert_true(
				follow.value[1] == (follow.alive ? (uint64_t)(subject / 10) * 1000003 : 0));
		}
		buf_deinit(&buf);
	}
}

/* As the journal of an earlier version has it. */
static void a_tick_without_marks_is_read_alike(void **state)
{
	enum { N = 100, MARKS = 3 };
	struct buf buf = BUF_INIT;
	size_t walked;

	put_crowd(&buf, N);
	buf.data[0] = (char)(buf.data[0] & ~MARKED);
	buf.len -= MARKS * 12 + 4;
	assert_int_equal(walk(&buf, &walked), PACK_END);
	assert_int_equal(walked, N);
	for (int64_t i = 0; i < N; i++) {
		struct pack_follow follow = { .subject = i * 10 + 7 };

		assert_true(pack_tick_follow(&follow, buf.data, buf.len));
		assert_true(follow.alive && follow.value[1] == (uint64_t)i * 1000003);
	}
	buf_deinit(&buf);
}

/* Each bit of them turned: whoever walks the tick sees it, and whoever follows it reads nothing beyond. */
static void marks_that_lie_are_found(void **state)
{
	enum { N = 100, MARKS = 3 };
	struct buf buf = BUF_INIT;
	size_t walked;

	put_crowd(&buf, N);
	for (size_t bit = 8 * (buf.len - MARKS * 12 - 4); bit < 8 * buf.len; bit++) {
		char *byte = buf.data + bit / 8;

		*byte = (char)(*byte ^ 1 << bit % 8);
		assert_int_equal(walk(&buf, &walked), PACK_BAD);
		for (int64_t subject = 0; subject < N * 10; subject += 9) {
			struct pack_follow follow = { .subject = subject };
			pack_tick_follow(&follow, buf.data, buf.len);
		}
		*byte = (char)(*byte ^ 1 << bit % 8);
	}
	buf_deinit(&buf);
}

static void a_torn_tick_changes_nothing(void **state)
{
	uint64_t value[3] = { 1 << 20, 77, UINT64_MAX };
	struct pack_entry entry = { .subject = 200, .present = 7, .value = value };
	struct pack_follow before = { .subject = 200, .alive = true, .present = 1, .value = { 5 } }, follow;
	struct buf buf = BUF_INIT;
	struct pack_tick tick;

	pack_tick_begin(&tick, &buf, true);
	pack_tick_put(&tick, &entry);
	pack_tick_end(&tick);
	for (size_t cut = 0; cut < buf.len; cut++) {
		if (cut == 1)
			continue; /* the head alone: a tick in which nobody lives */
		follow = before;
		assert_false(pack_tick_follow(&follow, buf.data, cut));
		assert_memory_equal(&follow, &before, sizeof(before));
	}
	follow = before;
	assert_true(pack_tick_follow(&follow, buf.data, 1));
	assert_false(follow.alive);
	follow = before;
	buf.data[0] = 0x40; /* of a version to come */
	assert_false(pack_tick_follow(&follow, buf.data, buf.len));
	assert_memory_equal(&follow, &before, sizeof(before));
	buf_deinit(&buf);
}

static void the_largest_subject_fits(void **state)
{
	struct pack_entry entry = { .subject = INT64_MAX - 1, .ended = true };
	struct pack_cursor cursor;
	struct pack_change change;
	struct buf buf = BUF_INIT;
	struct pack_tick tick;

	pack_tick_begin(&tick, &buf, false);
	pack_tick_put(&tick, &entry);
	pack_tick_end(&tick);
	assert_true(pack_tick_open(&cursor, buf.data, buf.len));
	assert_int_equal(pack_tick_next(&cursor, &change), PACK_ENTRY);
	assert_true(change.subject == INT64_MAX - 1 && !change.len);
	assert_int_equal(pack_tick_next(&cursor, &change), PACK_END);
	/* One more would overflow. */
	buf_put(&buf, "\x05\x00", 2);
	assert_true(pack_tick_open(&cursor, buf.data, buf.len));
	assert_int_equal(pack_tick_next(&cursor, &change), PACK_ENTRY);
	assert_int_equal(pack_tick_next(&cursor, &change), PACK_BAD);
	buf_deinit(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_keep_all_their_bits),
		cmocka_unit_test(numbers_of_more_bits_are_refused),
		cmocka_unit_test(an_idle_minute_is_small),
		cmocka_unit_test(extremes_survive),
		cmocka_unit_test(any_minute_survives),
		cmocka_unit_test(a_later_sample_replaces),
		cmocka_unit_test(ticks_follow_every_subject),
		cmocka_unit_test(marks_lead_to_every_subject),
		cmocka_unit_test(a_tick_without_marks_is_read_alike),
		cmocka_unit_test(marks_that_lie_are_found),
		cmocka_unit_test(a_torn_tick_changes_nothing),
		cmocka_unit_test(the_largest_subject_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
