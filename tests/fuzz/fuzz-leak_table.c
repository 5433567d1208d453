/* SPDX-License-Identifier: MIT */
/*
 * A shadow region that its process scribbled over: the input is words and where they stand. All that reads a
 * region comes to an end without a step beside it, and says nothing that is out of bounds.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collector/leaks/book.h"
#include "collector/leaks/keep.h"
#include "collector/leaks/records.h"
#include "collector/leaks/report.h"
#include "schema/base/clock.h"
#include "tests/fuzz/fuzz.h"

static const uint64_t places[] = { 0, 64, 256, SHADOW_LEAVES_AT, SHADOW_NAMES_AT, SHADOW_MODULES_AT,
	SHADOW_SITES_AT, SHADOW_SAMPLES_AT, SHADOW_KEEP_AT, SHADOW_KEEP_AT + 4096, SHADOW_SLOTS_AT,
	SHADOW_SLOTS_AT + (UINT64_C(1) << 24), SHADOW_SLOTS_AT + (UINT64_C(1) << 24) - 64 };
enum { PLACES = sizeof(places) / sizeof(*places), STEP = 11 };

static void write_at(int fd, const void *bytes, size_t n, uint64_t at)
{
	CHECK(pwrite(fd, bytes, n, (off_t)at) == (ssize_t)n);
}

/* One that can be read, with a leaf, so that what the input changes is looked at. */
static int make_region(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	uint64_t leaf = shadow_leaf_word(0x5000);
	struct shadow_header header = { .magic = SHADOW_MAGIC,
		.version = SHADOW_VERSION,
		.state = SHADOW_READY,
		.granule_shift = 4,
		.leaves = 64,
		.leaves_used = 2,
		.modules_used = 3,
		.names_used = 3,
		.control = SHADOW_EXACT,
		.attached_boot_ns = 1 };

	CHECK(fd >= 0 && !ftruncate(fd, (off_t)SHADOW_FILE_BYTES));
	write_at(fd, &header, sizeof(header), 0);
	write_at(fd, &leaf, sizeof(leaf), SHADOW_LEAVES_AT);
	return fd;
}

static int check_blocks(void *ctx, const struct table_block *block, size_t n)
{
	size_t *blocks = ctx;

	for (size_t i = 0; i < n; i++) {
		CHECK(block[i].site < SHADOW_SITES);
		CHECK(block[i].addr <= SHADOW_ADDRESS_LAST);
		CHECK(block[i].size <= SHADOW_ADDRESS_LAST);
		CHECK(block[i].epoch <= SHADOW_EPOCH_LAST);
	}
	*blocks += n;
	return 0;
}

static void read_records(int fd, const struct table_head *head)
{
	struct records records;
	struct record_text *text;
	char *piece = malloc(1 << 16);
	uint64_t bytes = 0;

	CHECK(piece && !records_take(fd, head, clock_boottime_ns(), 1, NULL, &records));
	CHECK(!record_text_new(fd, head, 1, &records, NULL, &text));
	uint64_t len = record_text_len(text);
	for (size_t n; (n = record_text_read(text, piece, 1 << 16));)
		bytes += n;
	CHECK(bytes == len);
	record_text_free(text);
	records_deinit(&records);
	free(piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct report_options options = {
		.min_age_ms = 1, .take = true, .least_bytes = 1, .window_s = 20
	};
	int fd = make_region();
	struct table_head head;
	struct report report;
	struct book book;
	struct buf text = BUF_INIT;
	const char *fault;
	size_t blocks = 0;

	for (; size >= STEP; data += STEP, size -= STEP) {
		uint64_t word,
			at = places[data[0] % PLACES] + ((uint64_t)data[1] | (uint64_t)data[2] << 8) * 8;
		memcpy(&word, data + 3, sizeof(word));
		write_at(fd, &word, sizeof(word), at);
	}
	book_init(&book);
	keep_read_min_age_s(fd);
	keep_read_book(fd, &(struct keep_teller) { 0, 0 }, &book);
	if (!table_read_head(fd, &head, &fault)) {
		CHECK(head.leaves <= SHADOW_LEAVES && head.mode < N_SHADOW_MODES);
		CHECK(!table_each_block(fd, &head, check_blocks, &blocks));
		read_records(fd, &head);
	}
	if (!report_take(fd, &book, &options, &report)) {
		report_put_callers(&report, &text);
		report_put_folded(&report, &text);
		CHECK(!buf_error(&text));
		report_deinit(&report);
	}
	buf_deinit(&text);
	book_deinit(&book);
	close(fd);
	return 0;
}
