/* SPDX-License-Identifier: MIT */
/* The child given files that lie, and the wire between it and its parent. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>

#include "collector/symbols/peer.h"
#include "collector/symbols/symbol_cache.h"
#include "tests/unit/symbols_world.h"

static void start(struct peer *peer)
{
	assert_int_equal(peer_start(peer, within_s(60)), 0);
}

struct found {
	unsigned n, known;
};

static void count_symbol(void *ctx, size_t i, const struct wire_symbol *symbol)
{
	struct found *found = ctx;

	found->n++;
	found->known += symbol->n > 0;
}

/* Asks for places all over the file, and for a stack in it. False where the child did not live through it. */
static bool ask_all(struct peer *peer, int fd, struct found *ret)
{
	struct wire_identity identity;
	struct wire_load load[WIRE_LOADS_MAX];
	struct wire_registers registers = { .value = { [6] = 64, [7] = 0, [16] = 0x1200 } };
	struct wire_module module = { 1, 0 };
	uint64_t address[WIRE_ADDRESSES_MAX], frames[WIRE_FRAMES_MAX];
	uint8_t bytes[256];
	unsigned n;
	bool cut;

	*ret = (struct found) { 0 };
	for (size_t i = 0; i < WIRE_ADDRESSES_MAX; i++)
		address[i] = 0x1000 + 16 * i;
	memset(bytes, 0x12, sizeof(bytes));
	return !peer_open(peer, 1, fd, within_s(60), &identity, load, &n) &&
	       !peer_resolve(peer, 1, address, WIRE_ADDRESSES_MAX, within_s(60), count_symbol, ret) &&
	       !peer_space(peer, 0, &module, 1, within_s(60)) &&
	       !peer_unwind(peer, 0, &registers, bytes, sizeof(bytes), within_s(60), frames, &n, &cut) &&
	       !peer_close(peer, 1, within_s(60));
}

static void files_that_lie_end_the_child_at_most(void **state)
{
	enum { LIES = 400 };
	static struct peer peer;
	struct scratch scratch;
	struct found found;
	char path[256];
	uint64_t seed = 7;
	unsigned died = 0;

	peer_init(&peer, SYMBOLS, NOBODY, NOBODY);
	assert_int_equal(scratch_make(&scratch), 0);
	world_run(&scratch, "gcc -g -O2 -o a $P/symbols-subject.c");
	scratch_join(&scratch, "a", path, sizeof(path));
	CLEANUP_CLOSE int whole = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = lseek(whole, 0, SEEK_END);
	uint8_t *bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE, whole, 0);
	assert_true(bytes != MAP_FAILED);
	start(&peer);
	assert_true(ask_all(&peer, whole, &found));
	unsigned known = found.known;
	assert_true(known > 20);
	for (unsigned i = 0; i < LIES; i++) {
		int fd = memfd_create("lie", MFD_CLOEXEC);
		/* Cut anywhere, or with some bytes changed, the more often the nearer to the head. */
		size_t n = i % 2 ? (size_t)size : (size_t)size * (i / 2) / (LIES / 2);
		assert_int_equal(write(fd, bytes, n), n);
		for (unsigned k = 0; i % 2 && k < i; k++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			size_t at = (seed >> 20) % (k % 2 ? 4096 : n);
			assert_int_equal(pwrite(fd, &seed, 1, (off_t)at), 1);
		}
		if (!ask_all(&peer, fd, &found)) {
			died++;
			peer_end(&peer);
			start(&peer);
		}
		close(fd);
	}
	print_message("%u of %u files ended a child\n", died, LIES);
	assert_true(ask_all(&peer, whole, &found));
	assert_int_equal(found.known, known);
	munmap(bytes, (size_t)size);
	peer_deinit(&peer);
	scratch_remove(&scratch);
}

static void what_is_no_file_has_no_names(void **state)
{
	static const char *const paths[] = { "/dev/null", "/dev/zero", "/proc/self/maps", "/etc/passwd",
		"/tmp" };
	static struct peer peer;
	struct found found;

	peer_init(&peer, SYMBOLS, NOBODY, NOBODY);
	start(&peer);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		assert_true(ask_all(&peer, fd, &found));
		assert_int_equal(found.n, WIRE_ADDRESSES_MAX);
		assert_int_equal(found.known, 0);
		close(fd);
	}
	peer_deinit(&peer);
}

/* A file that gets shorter while it is read is a SIGBUS, which is the child's alone. */
static void a_file_cut_while_it_is_open_harms_nobody(void **state)
{
	static struct peer peer;
	struct wire_load load[WIRE_LOADS_MAX];
	struct wire_identity identity;
	struct scratch scratch;
	struct found found = { 0 };
	uint64_t address = 0x1150;
	char path[256];
	unsigned n;

	peer_init(&peer, SYMBOLS, NOBODY, NOBODY);
	assert_int_equal(scratch_make(&scratch), 0);
	world_run(&scratch, "gcc -g -O2 -o a $P/symbols-subject.c");
	scratch_join(&scratch, "a", path, sizeof(path));
	CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	start(&peer);
	assert_int_equal(peer_open(&peer, 1, fd, within_s(60), &identity, load, &n), 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	if (peer_resolve(&peer, 1, &address, 1, within_s(60), count_symbol, &found)) {
		peer_end(&peer);
		start(&peer);
	}
	assert_int_equal(peer_open(&peer, 1, fd, within_s(60), &identity, load, &n), 0);
	peer_deinit(&peer);
	scratch_remove(&scratch);
}

static void symbols_pass_the_wire_whole(void **state)
{
	struct buf out CLEANUP_BUF = BUF_INIT;
	struct wire_symbol sent = { .n = WIRE_INLINED_MAX }, got;

	for (unsigned i = 0; i < sent.n; i++)
		sent.frame[i] =
			(struct wire_frame) { "function", i % 2 ? "file.c" : NULL, 8, i % 2 ? 6 : 0, i };
	wire_put_symbol(&out, &sent);
	for (size_t cut = 0; cut <= out.len; cut++) {
		const uint8_t *at = (const uint8_t *)out.data;
		size_t n = cut;
		assert_int_equal(wire_take_symbol(&at, &n, &got), cut == out.len);
	}
	struct symbol *symbol = symbol_new(&got);
	assert_int_equal(symbol->n, WIRE_INLINED_MAX);
	assert_string_equal(symbol->frame[1].function, "function");
	assert_string_equal(symbol->frame[1].file, "file.c");
	assert_null(symbol->frame[2].file);
	assert_int_equal(symbol->frame[31].line, 31);
	symbol_unref(symbol);
}

static void control_characters_do_not_pass(void **state)
{
	struct wire_symbol from = { .n = 1, .frame = { { "a\nb\x7f\tc", NULL, 6, 0, 0 } } };
	struct symbol *symbol = symbol_new(&from);

	assert_string_equal(symbol->frame[0].function, "a?b??c");
	symbol_unref(symbol);
}

static void the_cache_keeps_what_was_asked_for_last(void **state)
{
	struct wire_symbol from = { .n = 1, .frame = { { "f", NULL, 1, 0, 0 } } };
	struct module_id id = { .n = 3, .built = true, .bytes = { 1, 2, 3 } }, other = id;
	struct symbol *symbol = symbol_new(&from), *got;
	struct symbol_cache *cache;

	other.bytes[2] = 4;
	assert_int_equal(symbol_cache_new(100, &cache), 0);
	for (uint64_t i = 0; i < 150; i++) {
		symbol_cache_put(cache, &id, i, symbol);
		/* The first is asked for time and again. */
		got = symbol_cache_get(cache, &id, 0);
		assert_ptr_equal(got, symbol);
		symbol_unref(got);
	}
	assert_int_equal(symbol_cache_count(cache), 100);
	assert_null(symbol_cache_get(cache, &id, 1));
	assert_null(symbol_cache_get(cache, &other, 0));
	got = symbol_cache_get(cache, &id, 149);
	assert_non_null(got);
	symbol_unref(got);
	symbol_cache_put(cache, &id, 149, symbol); /* once more changes nothing */
	assert_int_equal(symbol_cache_count(cache), 100);
	symbol_cache_free(cache);
	assert_int_equal(symbol->n, 1); /* outlives it */
	symbol_unref(symbol);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_that_lie_end_the_child_at_most),
		cmocka_unit_test(what_is_no_file_has_no_names),
		cmocka_unit_test(a_file_cut_while_it_is_open_harms_nobody),
		cmocka_unit_test(symbols_pass_the_wire_whole),
		cmocka_unit_test(control_characters_do_not_pass),
		cmocka_unit_test(the_cache_keeps_what_was_asked_for_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
