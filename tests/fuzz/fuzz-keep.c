/* SPDX-License-Identifier: MIT */
/*
 * The keep that a predecessor left, scribbled over: the next serve neither crashes nor reads beyond what it
 * maps. The input is a row of scribbles: where (a byte), which one of them (two), at what offset (one), how
 * many bytes (one), and the bytes.
 */
#include "fs/fuse/keep.h"
#include "fs/names.h"
#include "fs/fuse/opens.h"
#include "fs/refusals.h"
#include "fs/fuse/snapshot.h"
#include "fs/view.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <unistd.h>

static int number_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	buf_put_u64(out, place->pid);
	buf_putc(out, '\n');
	return place->pid % 7 ? 0 : -ESRCH;
}

enum { FEW = 64, CASES = 16 };

/* A scribble's target: most of all what is looked at below. */
static void scribble(struct keep *keep, const uint8_t *head, const uint8_t *bytes)
{
	unsigned which = (unsigned)head[1] | (unsigned)head[2] << 8;
	struct {
		void *base;
		size_t size;
	} target[] = {
		{ &keep->names.n, sizeof(keep->names.n) + sizeof(keep->names.used) },
		{ &keep->names.offset[which % FEW], sizeof(keep->names.offset[0]) },
		{ keep->names.bytes + which % (FEW * 32), 64 },
		{ &keep->open[which % FEW], sizeof(keep->open[0]) },
		{ &keep->small[which % KEEP_SMALL_SETS][head[3] % KEEP_WAYS], sizeof(keep->small[0][0]) },
		{ &keep->large[which % KEEP_LARGE_SETS][head[3] % KEEP_WAYS], 64 },
		{ &keep->n_refusals, sizeof(keep->n_refusals) },
		{ &keep->refusal[which % KEEP_REFUSALS], sizeof(keep->refusal[0]) },
	};
	size_t at = head[0] % (sizeof(target) / sizeof(*target));
	size_t offset = head[3] % target[at].size, n = head[4];

	if (n > target[at].size - offset)
		n = target[at].size - offset;
	memcpy((char *)target[at].base + offset, bytes, n);
}

static void use_names(struct keep *keep, bool before)
{
	struct names *names;
	uint32_t number;

	CHECK(!names_new(keep, &names));
	for (uint32_t i = 0; i < FEW; i++) {
		char text[16];
		struct span name = names_get(names, i, NULL);
		uint64_t sum = 0;
		for (size_t at = 0; at < name.n; at++)
			sum += (unsigned char)name.p[at];
		int n = snprintf(text, sizeof(text), "name %u %u", i, (unsigned)(sum % 2));
		int r = names_intern(names, i % 3, (struct span) { text, (size_t)n }, &number);
		CHECK(r == 0 || r == -ENOSPC);
		CHECK(!before || !r);
	}
	names_free(names);
}

static void use_snapshots(struct keep *keep, const struct tree *tree, struct view *view)
{
	static const uint32_t pids[CASES] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 1000, 10000, 100000,
		4194303 };
	struct snapshots *snapshots;
	uint64_t *warm = malloc(SNAPSHOT_WARM_MAX * sizeof(*warm));
	char *bytes = malloc(KEEP_LARGE_BYTES);

	CHECK(warm && bytes);
	CHECK(!snapshots_new(keep, tree, view, &snapshots));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < CASES; i++) {
			struct place place = { .row = 1, .pid = pids[i], .name = PLACE_NO_NAME };
			struct snapshot_attr attr;
			size_t len = 0;
			int r = snapshot_read(snapshots, &place, 0, KEEP_LARGE_BYTES, bytes, &len);
			CHECK(r || len <= KEEP_LARGE_BYTES);
			snapshot_attr(snapshots, &place, &attr);
			CHECK(attr.len <= KEEP_LARGE_BYTES);
		}
		size_t n = snapshots_take_warm(snapshots, warm);
		CHECK(n <= SNAPSHOT_WARM_MAX);
		for (size_t i = 0; i < n; i++)
			snapshot_invalidated(snapshots, warm[i]);
	}
	snapshots_free(snapshots);
	free(bytes);
	free(warm);
}

static void count(void *ctx, struct keep_open *slot)
{
	++*(unsigned *)ctx;
}

static void use_opens(struct keep *keep, bool before)
{
	struct opens *opens;
	const char *bytes;
	uint64_t handle;
	unsigned n = 0;
	size_t len;

	CHECK(!opens_new(keep, &opens));
	for (uint64_t i = 0; i < FEW; i++) {
		/* Handles of whatever generation stands there. */
		handle = (uint64_t)keep->open[i].generation << 12 | i;
		if (!opens_read(opens, handle, i, SIZE_MAX, &bytes, &len) && len) {
			CHECK(bytes >= keep->open_bytes &&
				bytes + len <= keep->open_bytes + KEEP_OPENS_BYTES);
			CHECK(bytes[0] + bytes[len - 1] < 1000);
		}
		opens_find_request(opens, keep->open[i].unique, keep->open[i].id, &handle);
	}
	opens_tidy(opens);
	opens_each(opens, count, &n);
	CHECK(n <= KEEP_OPENS);
	for (uint64_t i = 0; i < FEW; i++) {
		if (!before && i % 2)
			opens_release(opens, (uint64_t)keep->open[i].generation << 12 | i);
		int r = opens_add(opens, i, i, 0, "some bytes", i % 10, (int)(i % 3), &handle);
		CHECK(r == 0 || r == -ENFILE || r == -EFBIG);
		CHECK(r || opens_get(opens, handle));
	}
	opens_tidy(opens);
	opens_free(opens);
}

static void use_refusals(struct keep *keep)
{
	const struct caller root = { 0, 0, getpid() };
	struct err err = { .code = EINVAL, .reason = "no" };
	struct refusals *refusals;

	CHECK(!refusals_new(keep, &refusals));
	for (int i = 0; i < 2; i++) {
		struct buf text CLEANUP_BUF = BUF_INIT;
		refusals_render(refusals, &root, &text);
		refusals_render_why(refusals, &root, &text);
		CHECK(!buf_error(&text));
		refusals_add(refusals, &root, "path", "x", 1, &err);
	}
	refusals_free(refusals);
}

static void use_all(struct keep *keep, bool before)
{
	static const struct node nodes[] = {
		{ "number", 0444, NODE_NUMBER, NULL, "a number", .render = number_render },
		{ 0 },
	};
	static const struct node root = { "", 0555, NODE_DIR, NULL, "the root", .children = nodes };
	struct tree *tree = malloc(sizeof(*tree));
	struct view *view = calloc(1, sizeof(*view));

	CHECK(tree && view && !tree_init(tree, &root));
	use_names(keep, before);
	use_snapshots(keep, tree, view);
	use_opens(keep, before);
	use_refusals(keep);
	free(view);
	free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { HEAD = 5 };
	struct keep *keep;
	int fd = keep_create();

	CHECK(fd >= 0 && !keep_map(fd, 1, &keep));
	use_all(keep, true);
	while (size >= HEAD && size - HEAD >= data[4]) {
		scribble(keep, data, data + HEAD);
		size -= HEAD + (size_t)data[4];
		data += HEAD + data[4];
	}
	use_all(keep, false);
	use_all(keep, false);
	keep_unmap(keep);
	close(fd);
	return 0;
}
