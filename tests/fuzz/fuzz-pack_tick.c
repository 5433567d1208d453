/* SPDX-License-Identifier: MIT */
/*
 * Any bytes are a tick or not: walking it ends, subjects ascend, and where all of it is fine following one by
 * itself says what walking says. The packer takes the same bytes as two ticks of a minute.
 */
#include "collector/history/history_packer.h"
#include "schema/history/pack.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* Whether it can be walked to its end. */
static bool is_whole(const uint8_t *data, size_t size)
{
	struct pack_cursor cursor;
	struct pack_change change;
	enum pack_step step;

	if (!pack_tick_open(&cursor, data, size))
		return false;
	do {
		step = pack_tick_next(&cursor, &change);
	} while (step == PACK_ENTRY);
	return step == PACK_END;
}

static void follow_each(const uint8_t *data, size_t size)
{
	bool whole = is_whole(data, size);
	struct pack_cursor cursor;
	struct pack_change change;
	enum pack_step step;
	int64_t before = -1;
	size_t n = 0;

	if (!pack_tick_open(&cursor, data, size))
		return;
	while ((step = pack_tick_next(&cursor, &change)) == PACK_ENTRY) {
		struct pack_follow follow = { .subject = change.subject }, walked = follow;

		CHECK(change.subject > before && ++n <= size);
		before = change.subject;
		CHECK(change.bytes >= data && change.bytes + change.len <= data + size);
		bool good = pack_follow_apply(&walked, &change);
		if (n < 50) {
			bool followed = pack_tick_follow(&follow, data, size);
			CHECK(!whole || followed == good);
			CHECK(!whole || (follow.alive == walked.alive && follow.present == walked.present));
			CHECK(!whole || !memcmp(follow.value, walked.value, sizeof(follow.value)));
		}
		CHECK(walked.alive || !walked.present);
		for (unsigned m = 0; m < PACK_METRICS_MAX; m++)
			CHECK(walked.present >> m & 1 || !walked.value[m]);
	}
}

static void pack(const uint8_t *data, size_t size)
{
	struct packer packer;
	int64_t subject, before = -1;
	struct pack_minute minute;
	bool alive;
	size_t bad;

	packer_init(&packer);
	CHECK(!packer_add(&packer, 3, data, size) && !packer_add(&packer, 59, data, size));
	packer_ready(&packer, &bad);
	while (packer_next(&packer, 15, 9, &subject, &minute, &alive)) {
		CHECK(subject > before);
		before = subject;
		CHECK(!(minute.seconds & ~(UINT64_C(1) << 3 | UINT64_C(1) << 59)));
	}
	packer_deinit(&packer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	follow_each(data, size);
	pack(data, size);
	return 0;
}
