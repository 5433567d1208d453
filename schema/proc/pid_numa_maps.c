/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_numa_maps.h"
#include "schema/base/kv.h"
#include "schema/base/num.h"

#include <string.h>

struct line {
	uint64_t pages, anon_pages; /* of all nodes */
	uint64_t page_bytes;
};

static bool starts_with(struct span word, const char *text, struct span *ret_rest)
{
	size_t n = strlen(text);

	if (word.n < n || memcmp(word.p, text, n) != 0)
		return false;
	*ret_rest = (struct span) { word.p + n, word.n - n };
	return true;
}

/* `N3=12`: 12 pages on node 3. *ret_is where it looks like that; false where it does and makes no sense. */
static bool parse_node(struct span word, bool *ret_is, unsigned *ret_node, uint64_t *ret_pages)
{
	const char *at = word.p + 1, *end = word.p + word.n;
	uint64_t node;

	*ret_is = word.n > 1 && word.p[0] == 'N' && *at >= '0' && *at <= '9';
	if (!*ret_is)
		return true;
	if (!num_parse_u64(&at, end, &node) || node >= NUMA_NODES_MAX || at == end || *at++ != '=' ||
		!num_parse_whole(at, (size_t)(end - at), ret_pages))
		return false;
	*ret_node = (unsigned)node;
	return true;
}

/* False where a number makes no sense. Names have their blanks escaped, so that words are words. */
static bool parse_word(struct line *line, const struct pid_numa_units *units, struct span word)
{
	struct span value;
	uint64_t pages, kb;
	unsigned node;
	bool is_node;

	if (!parse_node(word, &is_node, &node, &pages))
		return false;
	if (is_node)
		return !__builtin_add_overflow(line->pages, pages, &line->pages);
	if (starts_with(word, "anon=", &value))
		return num_parse_whole(value.p, value.n, &line->anon_pages);
	if (starts_with(word, "kernelpagesize_kB=", &value))
		return num_parse_whole(value.p, value.n, &kb) &&
		       !__builtin_mul_overflow(kb, 1024, &line->page_bytes);
	if (span_equals(word, "huge"))
		line->page_bytes = units->huge_page_bytes;
	return true;
}

/* From running sums, so that what rounding takes from one node the next one has. */
static void add_nodes(struct pid_numa *numa, const struct line *line, struct span text)
{
	uint64_t before = 0, anon_before = 0, pages;
	struct span word;
	unsigned node;
	bool is_node;

	while (span_word(&text, &word)) {
		if (!parse_node(word, &is_node, &node, &pages) || !is_node)
			continue;
		uint64_t anon = line->anon_pages * (before + pages) / line->pages - anon_before;
		numa->anon_bytes[node] += anon * line->page_bytes;
		numa->file_bytes[node] += (pages - anon) * line->page_bytes;
		before += pages;
		anon_before += anon;
	}
}

static bool add_line(struct pid_numa *numa, const struct pid_numa_units *units, struct span text)
{
	struct line line = { .page_bytes = units->page_bytes };
	struct span rest = text, word;
	uint64_t bytes;

	while (span_word(&rest, &word)) {
		if (!parse_word(&line, units, word))
			return false;
	}
	/* 2^32 pages of one mapping are 16 TiB at least; shares are computed with products of two counts. */
	if (!line.pages || line.pages >> 32 || line.anon_pages > line.pages ||
		__builtin_mul_overflow(line.pages, line.page_bytes, &bytes) ||
		__builtin_add_overflow(numa->bytes, bytes, &bytes))
		return false;
	numa->bytes = bytes;
	add_nodes(numa, &line, text);
	return true;
}

size_t pid_numa_maps_add(
	struct pid_numa *numa, const struct pid_numa_units *units, const char *text, size_t len)
{
	struct kv_cursor cursor = kv_begin_lines(text, len);
	struct span rest = { cursor.at, (size_t)(cursor.end - cursor.at) }, line;
	size_t n = 0;

	while (span_line(&rest, &line))
		n += add_line(numa, units, line);
	return n;
}
