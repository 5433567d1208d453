/* SPDX-License-Identifier: MIT */
#include "collector/leaks/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/base/cleanup.h"

#define KEEP_MAGIC UINT64_C(0x7065656b736b6c6d) /* "mlkskeep" */
enum { KEEP_VERSION = 2, KEEP_PAGE = 4096 };

struct keep_head {
	uint64_t magic;
	uint32_t version;
	uint32_t entry_size;
	uint64_t min_age_s;
	uint64_t n_sites; /* 0 while they are written */
	int64_t growth_due_ns;
	uint64_t growth_window_s;
	struct keep_teller teller;
};

struct keep_site {
	uint32_t site;
	uint32_t told_old;
	struct growth_track growth;
};
_Static_assert(
	KEEP_PAGE + BOOK_SITES * sizeof(struct keep_site) <= SHADOW_KEEP_BYTES, "a whole book has its room");

static struct keep_head read_head(int fd)
{
	struct keep_head head = { 0 };

	if (pread(fd, &head, sizeof(head), SHADOW_KEEP_AT) != sizeof(head) || head.magic != KEEP_MAGIC ||
		head.version != KEEP_VERSION || head.entry_size != sizeof(struct keep_site))
		head = (struct keep_head) { KEEP_MAGIC, KEEP_VERSION, sizeof(struct keep_site),
			/* Since version 1. */
			head.magic == KEEP_MAGIC ? head.min_age_s : KEEP_NO_AGE, 0, 0, 0, { 0, 0 } };
	return head;
}

static int write_bytes(int fd, const void *bytes, size_t n, uint64_t at)
{
	ssize_t done = pwrite(fd, bytes, n, (off_t)at);

	return done == (ssize_t)n ? 0 : done < 0 ? -errno : -EIO;
}

uint64_t keep_read_min_age_s(int fd)
{
	return read_head(fd).min_age_s;
}

int keep_write_min_age_s(int fd, uint64_t min_age_s)
{
	struct keep_head head = read_head(fd);

	head.min_age_s = min_age_s;
	return write_bytes(fd, &head, sizeof(head), SHADOW_KEEP_AT);
}

void keep_read_book(int fd, const struct keep_teller *teller, struct book *book)
{
	struct keep_head head = read_head(fd);

	if (!head.n_sites || head.n_sites > BOOK_SITES || head.teller.device != teller->device ||
		head.teller.inode != teller->inode)
		return;
	size_t size = (size_t)head.n_sites * sizeof(struct keep_site);
	CLEANUP_FREE struct keep_site *kept = malloc(size);
	if (!kept || pread(fd, kept, size, SHADOW_KEEP_AT + KEEP_PAGE) != (ssize_t)size)
		return;
	for (size_t i = 0; i < head.n_sites; i++) {
		struct book_site *site = kept[i].site < SHADOW_SITES ? book_get(book, kept[i].site) : NULL;
		if (!site)
			continue;
		site->told_old = kept[i].told_old;
		site->growth = kept[i].growth;
		/* A number of samples that overflows soon would be another number of samples. */
		site->growth.n %= UINT32_MAX;
		site->growth.growing = *(const uint8_t *)&kept[i].growth.growing & 1;
	}
	book->growth_due_ns = head.growth_due_ns;
	book->growth_window_s = head.growth_window_s;
}

int keep_write_book(int fd, const struct keep_teller *teller, struct book *book)
{
	struct keep_head head = read_head(fd);
	size_t n = g_hash_table_size(book->sites), at = 0;
	CLEANUP_FREE struct keep_site *kept = calloc(n + 1, sizeof(*kept));
	GHashTableIter iter;
	void *value;

	if (!kept)
		return -ENOMEM;
	g_hash_table_iter_init(&iter, book->sites);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct book_site *site = value;
		/* Merged ones have their numbers of this book. */
		if (site->site < SHADOW_SITES)
			kept[at++] = (struct keep_site) { site->site, site->told_old, site->growth };
	}
	n = at;
	head.n_sites = 0;
	int r = write_bytes(fd, &head, sizeof(head), SHADOW_KEEP_AT);
	if (!r)
		r = write_bytes(fd, kept, n * sizeof(*kept), SHADOW_KEEP_AT + KEEP_PAGE);
	head.n_sites = n;
	head.growth_due_ns = book->growth_due_ns;
	head.growth_window_s = book->growth_window_s;
	head.teller = *teller;
	return r ? r : write_bytes(fd, &head, sizeof(head), SHADOW_KEEP_AT);
}
