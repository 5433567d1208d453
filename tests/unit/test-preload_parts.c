/* SPDX-License-Identifier: MIT */
/* What the shim starts with: the layout, the environment, limits, boot memory, modules. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <math.h>
#include <sys/stat.h>

#include "preload/boot.h"
#include "preload/maps.h"
#include "preload/module.h"
#include "preload/offer.h"
#include "preload/refuse.h"
#include "preload/sample.h"
#include "preload/settings.h"
#include "tests/unit/shim_world.h"

static void epochs_only_grow_and_begin_at_their_time(void **state)
{
	for (uint32_t epoch = 1; epoch <= SHADOW_EPOCH_LAST; epoch += epoch < 100 ? 1 : 9973) {
		uint64_t ms = shadow_epoch_ms(epoch);
		assert_int_equal(shadow_epoch_at(ms), epoch);
		assert_int_equal(shadow_epoch_at(ms - 1), epoch - 1);
	}
	assert_int_equal(shadow_epoch_at(1000), 16);
	assert_int_equal(shadow_epoch_at(UINT64_MAX), SHADOW_EPOCH_LAST);
}

static void a_header_that_promises_too_much_is_refused(void **state)
{
	struct shadow_header header = { .state = SHADOW_READY,
		.magic = SHADOW_MAGIC,
		.version = SHADOW_VERSION,
		.granule_shift = 5,
		.leaves = 2 };
	uint64_t bytes = SHADOW_SLOTS_AT + 2 * shadow_leaf_bytes(5);

	assert_null(shadow_header_fault(&header, bytes));
	assert_non_null(shadow_header_fault(&header, bytes - 1));
	header.leaves = UINT64_MAX / 2;
	assert_non_null(shadow_header_fault(&header, bytes));
	header.leaves = 2;
	header.granule_shift = 6;
	assert_non_null(shadow_header_fault(&header, bytes));
	header.granule_shift = 5;
	header.state = SHADOW_CLAIMED;
	assert_non_null(shadow_header_fault(&header, bytes));
	assert_non_null(shadow_header_fault(&(struct shadow_header) { 0 }, 0));
}

static void modes_are_understood_or_refused(void **state)
{
	static const char *const bad[] = { "", "on", "exactly", "exact 5", "sample 0", "sample x",
		"sample 5Q", "sample 5KB", "sample -1", "sample 99999999999999999999",
		"sample 72057594037927936", "off off" };
	uint64_t control;

	assert_true(settings_trace_parse("off", &control));
	assert_int_equal(control, SHADOW_OFF);
	assert_true(settings_trace_parse("exact", &control));
	assert_int_equal(control, SHADOW_EXACT);
	assert_true(settings_trace_parse("sample", &control));
	assert_int_equal(control, shadow_control(SHADOW_SAMPLE, 512 << 10));
	assert_true(settings_trace_parse("stacks 3m", &control));
	assert_int_equal(control, shadow_control(SHADOW_STACK, 3 << 20));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		control = 77;
		assert_false(settings_trace_parse(bad[i], &control));
		assert_int_equal(control, 77);
	}
}

static void what_is_handed_over_is_two_numbers(void **state)
{
	static const char *const bad[] = { "", "3", "3:", ":4", "3:4:", "3 :4", "-1:4", "9999999999:4",
		"3:x" };
	uint64_t inode;
	int fd;

	assert_true(settings_handed_parse("3:4096", &fd, &inode));
	assert_int_equal(fd, 3);
	assert_int_equal(inode, 4096);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(settings_handed_parse(bad[i], &fd, &inode));
}

static void the_environment_is_read_once_and_what_is_wrong_ignored(void **state)
{
	char *good[] = { (char *)"MEMFS_TRACE=exact", (char *)"MEMFS_RUN=/run/memfs-x",
		(char *)"MEMFS_FOLLOW=no", NULL };
	char *bad[] = { (char *)"MEMFS_TRACE=nonsense", (char *)"MEMFS_TRACER=exact", NULL };
	char *none[] = { NULL };

	region_end(NULL);
	settings_read(bad);
	assert_int_equal(shim.first_control, 0);
	assert_true(shim.follow);
	settings_read(none);
	settings_read(good);
	assert_int_equal(shim.first_control, SHADOW_EXACT);
	assert_int_equal(shim.first_driver, SHADOW_BY_ENVIRONMENT);
	assert_string_equal(shim.run_dir, "/run/memfs-x");
	assert_false(shim.follow);
	assert_null(settings_variable(NULL, "MEMFS_TRACE"));
}

static void a_region_is_as_large_as_limits_leave_room(void **state)
{
	const uint64_t gib = UINT64_C(1) << 30, none = UINT64_MAX;
	uint64_t all = region_leaves(5, 24 * gib, none, none), some;

	assert_int_equal(all, 24 * 1024 / 64 * 4);
	assert_int_equal(region_leaves(5, 1024 * gib, none, none), SHADOW_LEAVES);
	assert_int_equal(region_leaves(5, 0, none, none), 64);
	/* A share of the addresses that are left, the fixed part included. */
	some = region_leaves(5, 24 * gib, 8 * gib, none);
	assert_true(some && some < all);
	assert_true(some * shadow_leaf_bytes(5) + SHADOW_KEEP_AT + DIRECTORY_BYTES <= gib);
	assert_int_equal(region_leaves(5, 24 * gib, gib / 10, none), 0);
	/* A file no larger than may be. */
	some = region_leaves(3, 24 * gib, none, gib);
	assert_true(some && SHADOW_SLOTS_AT + some * shadow_leaf_bytes(3) <= gib);
	assert_int_equal(region_leaves(3, 24 * gib, none, 1000), 0);
}

static void only_a_sealed_memfd_is_taken_over(void **state)
{
	struct stat stat;
	int fd = memfd_create("x", MFD_ALLOW_SEALING | MFD_CLOEXEC),
	    file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	region_end(NULL);
	assert_int_equal(ftruncate(fd, SHADOW_SLOTS_AT * 2), 0);
	assert_int_equal(fstat(fd, &stat), 0);
	assert_false(region_is_handed(fd, stat.st_ino));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, SHADOW_SEALS), 0);
	assert_true(region_is_handed(fd, stat.st_ino));
	assert_false(region_is_handed(fd, stat.st_ino + 1));
	assert_false(region_is_handed(-1, stat.st_ino));
	assert_false(region_is_handed(1000, stat.st_ino));
	assert_int_equal(fstat(file, &stat), 0);
	assert_false(region_is_handed(file, stat.st_ino));
	close(fd);
	close(file);
}

static void boot_memory_is_aligned_and_ends(void **state)
{
	char *block = boot_allocate(1, 100), *other;

	assert_true(boot_was_used());
	assert_int_equal((uintptr_t)block % 16, 0);
	assert_int_equal(boot_size(block), 100);
	memset(block, 1, 100);
	other = boot_allocate(4096, 1);
	assert_int_equal((uintptr_t)other % 4096, 0);
	assert_true(boot_has(other));
	assert_false(boot_has(state));
	assert_null(boot_allocate(16, BOOT_BYTES));
	assert_null(boot_allocate(16, SIZE_MAX));
	while ((other = boot_allocate(64, 1000)))
		memset(other, 1, 1000);
	assert_null(boot_allocate(16, 1000));
	assert_int_equal(block[99], 1);
}

static void draws_are_exponential(void **state)
{
	enum { DRAWS = 1000000 };
	uint64_t random = 1, below = 0;
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < DRAWS; i++) {
		double value = (double)sample_draw(&random, 1000000) / 1000000;
		sum += value;
		squares += value * value;
		below += value < 0.1;
	}
	/* Mean and deviation are 1; five deviations of each. */
	assert_true(fabs(sum / DRAWS - 1) < 0.005);
	assert_true(fabs(squares / DRAWS - 2) < 0.025);
	assert_true(fabs((double)below / DRAWS - (1 - exp(-0.1))) < 0.0015);
	assert_true(sample_draw(&random, UINT64_MAX >> SHADOW_RATE_SHIFT) <= INT64_MAX);
}

static void lines_of_maps_are_parsed(void **state)
{
	static const char *const bad[] = { "", "x", "1-", "1", "-2", "2-1 r", "11111111111111111-2",
		"7f00 -8000" };
	uintptr_t start, end;

	assert_true(maps_parse("7f00-8000 r--p 0 0", 18, &start, &end));
	assert_int_equal(start, 0x7f00);
	assert_int_equal(end, 0x8000);
	assert_true(maps_parse("ffffffffff600000-ffffffffff601000 --xp", 38, &start, &end));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(maps_parse(bad[i], strlen(bad[i]), &start, &end));
}

static void filters_are_seen_in_a_status(void **state)
{
	static const char status[] = "Name:\tx\nNoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n";

	assert_int_equal(refuse_seccomp_parse(status, sizeof(status) - 1), 2);
	assert_int_equal(refuse_seccomp_parse("\nSeccomp:\t0\n", 12), 0);
	assert_int_equal(refuse_seccomp_parse("\nSeccomp:\t", 10), -1);
	assert_int_equal(refuse_seccomp_parse("Name:\tSeccomp:\t0", 16), -1);
	assert_int_equal(refuse_seccomp_parse("", 0), -1);
}

static void build_ids_are_read_within_their_segment(void **state)
{
	struct {
		ElfW(Nhdr) first;
		char first_name[8];
		ElfW(Nhdr) second;
		char name[4];
		uint8_t id[20];
	} notes = { { 5, 0, 99 }, "LINUX", { 4, 20, NT_GNU_BUILD_ID }, "GNU", { 1, 2, 3 } };
	ElfW(Phdr) headers[2] = {
		{ .p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = 0, .p_filesz = sizeof(notes) },
		{ .p_type = PT_NOTE, .p_vaddr = 0, .p_filesz = sizeof(notes) }
	};
	uint8_t id[SHADOW_BUILD_ID_MAX];

	assert_int_equal(module_build_id(headers, 2, (uintptr_t)&notes, id), 20);
	assert_int_equal(id[2], 3);
	for (size_t len = 0; len < sizeof(notes); len++) {
		headers[1].p_filesz = len;
		assert_int_equal(module_build_id(headers, 2, (uintptr_t)&notes, id), 0);
	}
	headers[1].p_filesz = sizeof(notes) + 1; /* beyond the segment */
	assert_int_equal(module_build_id(headers, 2, (uintptr_t)&notes, id), 0);
	headers[1].p_filesz = sizeof(notes);
	headers[0].p_flags = PF_X;
	assert_int_equal(module_build_id(headers, 2, (uintptr_t)&notes, id), 0);
	headers[0].p_flags = PF_R;
	notes.first.n_namesz = UINT32_MAX;
	assert_int_equal(module_build_id(headers, 2, (uintptr_t)&notes, id), 0);
}

static void own_code_has_a_module(void **state)
{
	uint32_t module;

	region_begin(5, SHADOW_EXACT);
	module = module_number((uintptr_t)own_code_has_a_module);
	if (!module)
		skip(); /* before glibc 2.35 */
	assert_int_equal(module_number((uintptr_t)own_code_has_a_module), module);
	assert_int_not_equal(module_number((uintptr_t)strlen), module);
	assert_int_equal(module_number(16), 0);
	assert_false(module_drop_gone(module));
}

static void paths_of_sockets_fit_or_are_refused(void **state)
{
	char path[16];

	assert_true(offer_path("/run", "m", path, sizeof(path)) == false);
	assert_true(offer_path("/r", "m", path, sizeof(path)));
	assert_string_equal(path, "/r/m/shim.sock");
	assert_true(offer_path("/rrrr", "", path, sizeof(path)));
	assert_string_equal(path, "/rrrr/shim.sock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(epochs_only_grow_and_begin_at_their_time),
		cmocka_unit_test(a_header_that_promises_too_much_is_refused),
		cmocka_unit_test(modes_are_understood_or_refused),
		cmocka_unit_test(what_is_handed_over_is_two_numbers),
		cmocka_unit_test(the_environment_is_read_once_and_what_is_wrong_ignored),
		cmocka_unit_test(a_region_is_as_large_as_limits_leave_room),
		cmocka_unit_test(only_a_sealed_memfd_is_taken_over),
		cmocka_unit_test(boot_memory_is_aligned_and_ends),
		cmocka_unit_test(draws_are_exponential),
		cmocka_unit_test(lines_of_maps_are_parsed),
		cmocka_unit_test(filters_are_seen_in_a_status),
		cmocka_unit_test(build_ids_are_read_within_their_segment),
		cmocka_unit_test(own_code_has_a_module),
		cmocka_unit_test(paths_of_sockets_fit_or_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, region_end);
}
