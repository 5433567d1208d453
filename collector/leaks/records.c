/* SPDX-License-Identifier: MIT */
#include "collector/leaks/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schema/base/cleanup.h"
#include "schema/leak_text.h"

enum { DIGIT_BITS = 12, DIGITS = 1 << DIGIT_BITS };
_Static_assert(SHADOW_EPOCH_LAST < 1 << (2 * DIGIT_BITS), "two digits sort any epoch");

struct taking {
	struct records *records;
	const struct tally_sites *sites;
	uint32_t old_epoch;
};

static bool grow(struct records *records)
{
	size_t cap = records->cap ? records->cap * 2 : 4096;
	struct record *grown = cap > UINT32_MAX ? NULL : reallocarray(records->record, cap, sizeof(*grown));

	if (!grown)
		return false;
	records->record = grown;
	records->cap = cap;
	return true;
}

static int add_blocks(void *ctx, const struct table_block *block, size_t n)
{
	const struct taking *taking = ctx;
	struct records *records = taking->records;

	for (size_t i = 0; i < n; i++, block++) {
		if (block->epoch > taking->old_epoch)
			continue;
		if (records->n == records->cap && !grow(records))
			return -ENOMEM;
		uint32_t site = taking->sites ? taking->sites->of(taking->sites->ctx, block) : block->site;
		records->record[records->n++] =
			(struct record) { block->addr, block->size, site, block->epoch };
	}
	return 0;
}

enum { INDEX_BITS = 32 };

/* What counted a digit of each value in its place behind: where the values of each digit begin. */
static void sum_up(uint32_t begin[static DIGITS + 1])
{
	for (unsigned i = 1; i <= DIGITS; i++)
		begin[i] += begin[i - 1];
}

/* Two stable passes, the second over epochs with their index, so that no record is looked at out of order. */
static int sort(struct records *records)
{
	CLEANUP_FREE uint64_t *half = reallocarray(NULL, records->n + 1, sizeof(*half));
	uint32_t low[DIGITS + 1] = { 0 }, high[DIGITS + 1] = { 0 };

	records->order = reallocarray(NULL, records->n + 1, sizeof(*records->order));
	if (!half || !records->order)
		return -ENOMEM;
	for (size_t i = 0; i < records->n; i++) {
		low[(records->record[i].epoch & (DIGITS - 1)) + 1]++;
		high[(records->record[i].epoch >> DIGIT_BITS) + 1]++;
	}
	sum_up(low);
	sum_up(high);
	for (size_t i = 0; i < records->n; i++) {
		uint32_t epoch = records->record[i].epoch;
		half[low[epoch & (DIGITS - 1)]++] = (uint64_t)epoch << INDEX_BITS | i;
	}
	for (size_t i = 0; i < records->n; i++)
		records->order[high[half[i] >> (INDEX_BITS + DIGIT_BITS)]++] = (uint32_t)half[i];
	return 0;
}

int records_take(int fd, const struct table_head *head, int64_t now_boot_ns, uint64_t min_age_ms,
	const struct tally_sites *sites, struct records *ret_records)
{
	struct records records = { 0 };
	struct taking taking = { &records, sites, SHADOW_EPOCH_LAST };
	int r = 0;

	if (!min_age_ms || table_epoch_before(head, now_boot_ns, min_age_ms, &taking.old_epoch))
		r = table_each_block(fd, head, add_blocks, &taking);
	if (!r)
		r = sort(&records);
	if (r)
		records_deinit(&records);
	else
		*ret_records = records;
	return r;
}

void records_deinit(struct records *records)
{
	free(records->record);
	free(records->order);
	*records = (struct records) { 0 };
}

/* --- their text --- */

struct record_text {
	const struct table_head *head;
	const struct records *records;
	struct table_places places;
	const uint64_t *merged_caller;
	struct leak_record_text row;
	size_t at; /* rows; the head of the table is before them */
	bool begun;
};

int record_text_new(int fd, const struct table_head *head, uint32_t pid, const struct records *records,
	const uint64_t *merged_caller, struct record_text **ret_text)
{
	CLEANUP_FREE struct record_text *text = calloc(1, sizeof(*text));

	if (!text)
		return -ENOMEM;
	text->head = head;
	text->records = records;
	text->merged_caller = merged_caller;
	leak_record_text_init(&text->row, pid);
	int r = table_read_places(fd, &text->places);
	if (!r)
		*ret_text = steal_ptr(text);
	return r;
}

void record_text_free(struct record_text *text)
{
	if (text)
		table_places_deinit(&text->places);
	free(text);
}

static const struct record *record_at(const struct record_text *text, size_t i)
{
	/* In order of age they are at random places. */
	if (i + 16 < text->records->n)
		__builtin_prefetch(&text->records->record[text->records->order[i + 16]]);
	return &text->records->record[text->records->order[i]];
}

static int64_t time_ms(const struct record_text *text, const struct record *record)
{
	return table_epoch_ns(text->head, record->epoch) / 1000000;
}

static uint64_t caller_of(const struct record_text *text, const struct record *record)
{
	if (record->site < SHADOW_SITES)
		return table_site_caller(&text->places, record->site);
	return text->merged_caller ? text->merged_caller[record->site - SHADOW_SITES] : 0;
}

uint64_t record_text_len(struct record_text *text)
{
	uint64_t len = sizeof(LEAK_RECORDS_HEAD) - 1;

	for (size_t i = 0; i < text->records->n; i++) {
		const struct record *record = &text->records->record[i];
		len += leak_record_len(&text->row, time_ms(text, record), record->size, record->addr,
			caller_of(text, record));
	}
	return len;
}

size_t record_text_read(struct record_text *text, char *to, size_t room)
{
	char *at = to;

	if (!text->begun) {
		memcpy(at, LEAK_RECORDS_HEAD, sizeof(LEAK_RECORDS_HEAD) - 1);
		at += sizeof(LEAK_RECORDS_HEAD) - 1;
		text->begun = true;
	}
	for (; text->at < text->records->n && room - (size_t)(at - to) >= LEAK_RECORD_MAX; text->at++) {
		const struct record *record = record_at(text, text->at);
		at = leak_record_write(&text->row, at, time_ms(text, record), record->size, record->addr,
			caller_of(text, record));
	}
	return (size_t)(at - to);
}
