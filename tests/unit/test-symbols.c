/* SPDX-License-Identifier: MIT */
/* Programs that say where they are, and what is found out about these places. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "schema/base/buf.h"
#include "tests/unit/symbols_world.h"

static const char *last_part(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash ? slash + 1 : path;
}

enum knows { NAMES = 1, HIDDEN_NAMES = 2, LINES = 4 };

/* Each place is what its program said of it, as far as the file has it. */
static void check(
	struct symbols *symbols, const struct subject *subject, enum knows knows, const char *source)
{
	struct module_table table = { 0 };

	assert_int_equal(module_table_read(symbols, subject->dir, within_s(60), &table), PROC_OK);
	for (unsigned i = 0; i < subject->n; i++) {
		const struct told *told = &subject->told[i];
		struct symbol *symbol = resolve_one(symbols, &table, told->address);
		bool inlined = strcmp(told->into, "-") != 0;
		bool hidden = !strcmp(told->function, "hidden_function");
		assert_non_null(symbol);
		if (!(knows & NAMES) || (hidden && !(knows & HIDDEN_NAMES))) {
			assert_int_equal(symbol->n, 0);
			symbol_unref(symbol);
			continue;
		}
		assert_true(symbol->n >= 1);
		const struct symbol_frame *inner = &symbol->frame[0], *outer = &symbol->frame[symbol->n - 1];
		assert_string_equal(outer->function, inlined ? told->into : told->function);
		if (knows & LINES) {
			assert_int_equal(symbol->n, inlined ? 3 : 1);
			assert_string_equal(inner->function, told->function);
			assert_string_equal(last_part(inner->file), source);
			if (told->line)
				assert_int_equal(inner->line, told->line);
			if (inlined)
				assert_string_equal(symbol->frame[1].function, "between");
			assert_true(outer->line > inner->line || symbol->n == 1);
		} else {
			assert_int_equal(symbol->n, 1);
			assert_null(inner->file);
		}
		symbol_unref(symbol);
	}
	module_table_deinit(symbols, &table);
}

#define SOURCE "symbols-subject.c"

/* A program with debug information that has said its places. */
struct stage {
	struct scratch scratch;
	struct subject subject;
	struct module_table table;
};

static void begin(struct stage *stage, struct symbols *symbols)
{
	memset(&stage->table, 0, sizeof(stage->table));
	assert_int_equal(scratch_make(&stage->scratch), 0);
	world_run(&stage->scratch, "gcc -g -O2 -o a $P/" SOURCE);
	subject_start(&stage->subject, &stage->scratch, "a", NULL, NULL);
	subject_listen(&stage->subject);
	assert_int_equal(
		module_table_read(symbols, stage->subject.dir, within_s(60), &stage->table), PROC_OK);
}

static void end(struct stage *stage, struct symbols *symbols)
{
	subject_end(&stage->subject);
	module_table_deinit(symbols, &stage->table);
	scratch_remove(&stage->scratch);
	symbols_free(symbols);
}

static void programs_of_all_kinds_are_understood(void **state)
{
	static const struct {
		const char *make;
		enum knows knows;
	} kinds[] = {
		{ "gcc -g -O2 -o a $P/" SOURCE, NAMES | HIDDEN_NAMES | LINES },
		{ "gcc -g -O0 -fno-inline -fno-omit-frame-pointer -o a $P/" SOURCE,
			NAMES | HIDDEN_NAMES | LINES },
		{ "gcc -g -O2 -no-pie -o a $P/" SOURCE, NAMES | HIDDEN_NAMES | LINES },
		{ "gcc -gdwarf-4 -gz -O2 -o a $P/" SOURCE, NAMES | HIDDEN_NAMES | LINES },
		{ "gcc -g -O2 -static-pie -o a $P/" SOURCE " 2>/dev/null", NAMES | HIDDEN_NAMES | LINES },
		{ "clang -g -O2 -o a $P/" SOURCE, NAMES | HIDDEN_NAMES | LINES },
		{ "gcc -O2 -o a $P/" SOURCE, NAMES | HIDDEN_NAMES },
		{ "gcc -O2 -rdynamic -o a $P/" SOURCE " && strip a", NAMES },
		{ "gcc -O2 -no-pie -o a $P/" SOURCE " && strip a", 0 },
		{ "gcc -g -O2 -Wl,--build-id=none -o a $P/" SOURCE, NAMES | HIDDEN_NAMES | LINES },
		{ "gcc -g -O2 -Wl,-z,noseparate-code -o a $P/" SOURCE, NAMES | HIDDEN_NAMES | LINES },
	};
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	struct subject subject;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct scratch scratch;
		assert_int_equal(scratch_make(&scratch), 0);
		print_message("%s\n", kinds[i].make);
		world_run(&scratch, kinds[i].make);
		subject_start(&subject, &scratch, "a", NULL, NULL);
		subject_listen(&subject);
		check(symbols, &subject, kinds[i].knows, SOURCE);
		subject_end(&subject);
		scratch_remove(&scratch);
	}
	assert_int_equal(symbols_status(symbols).failed, 0);
	symbols_free(symbols);
}

static void names_of_cxx_are_as_people_wrote_them(void **state)
{
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	struct scratch scratch;
	struct subject subject;

	assert_int_equal(scratch_make(&scratch), 0);
	world_run(&scratch, "g++ -g -O2 -o a $P/symbols-subject.cc");
	subject_start(&subject, &scratch, "a", NULL, NULL);
	subject_listen(&subject);
	assert_int_equal(subject.n, 3);
	check(symbols, &subject, NAMES | HIDDEN_NAMES | LINES, "symbols-subject.cc");
	subject_end(&subject);
	scratch_remove(&scratch);
	symbols_free(symbols);
}

static void what_is_loaded_later_and_gone_from_the_disk_is_known(void **state)
{
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	struct scratch scratch;
	struct subject subject;
	char path[256];

	if (geteuid())
		skip(); /* kernel: only root opens what is unlinked */
	assert_int_equal(scratch_make(&scratch), 0);
	world_run(&scratch,
		"gcc -g -O2 -o a $P/" SOURCE " && gcc -g -O2 -shared -fPIC -DLIBRARY -o 'b c.so' $P/" SOURCE);
	scratch_join(&scratch, "b c.so", path, sizeof(path));
	subject_start(&subject, &scratch, "a", path, NULL);
	subject_listen(&subject);
	assert_int_equal(subject.n, 5);
	world_run(&scratch, "rm a 'b c.so'");
	check(symbols, &subject, NAMES | HIDDEN_NAMES | LINES, SOURCE);

	struct module_table table = { 0 };
	assert_int_equal(module_table_read(symbols, subject.dir, within_s(60), &table), PROC_OK);
	struct module_place place = module_table_place(&table, subject.told[4].address);
	assert_string_equal(place.module->name, "b c.so");
	assert_string_equal(place.module->path, path);
	assert_true(place.module->id.built && place.module->id.n == 20);
	/* The same once more is the same table. */
	uint64_t number = table.number;
	assert_int_equal(module_table_read(symbols, subject.dir, within_s(60), &table), PROC_OK);
	assert_int_equal(table.number, number);
	module_ref(place.module);
	subject_end(&subject);
	module_table_deinit(symbols, &table);

	/* What was found out is known without file and process. */
	struct symbol *symbol;
	symbols_resolve(symbols, &place, 1, within_s(60), &symbol);
	assert_string_equal(symbol->frame[0].function, subject.told[4].function);
	symbol_unref(symbol);
	place.address += 1; /* and this was not */
	symbols_resolve(symbols, &place, 1, within_s(60), &symbol);
	assert_null(symbol);
	module_unref(place.module);
	scratch_remove(&scratch);
	symbols_free(symbols);
}

static void a_module_is_found_by_what_its_process_says(void **state)
{
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	struct stage stage;
	struct module *module;
	struct symbol *symbol;

	begin(&stage, symbols);
	struct module_place place = module_table_place(&stage.table, stage.subject.told[0].address);
	struct module_id id = place.module->id;
	assert_int_equal(module_find(symbols, stage.subject.dir, place.module->path, id.bytes, id.n,
				 within_s(60), &module),
		0);
	module_table_deinit(symbols, &stage.table);
	place.module = module;
	symbols_resolve(symbols, &place, 1, within_s(60), &symbol);
	assert_string_equal(symbol->frame[0].function, "outer_function");
	symbol_unref(symbol);
	module_close(symbols, module);

	/* Another build id: the name has been given to another file, which is not asked. */
	char path[256];
	scratch_join(&stage.scratch, "a", path, sizeof(path));
	id.bytes[3] ^= 1;
	assert_int_equal(module_find(symbols, -1, path, id.bytes, id.n, within_s(60), &place.module), 0);
	symbols_resolve(symbols, &place, 1, within_s(60), &symbol);
	assert_null(symbol);
	assert_memory_equal(place.module->id.bytes, id.bytes, id.n);
	module_close(symbols, place.module);
	module_unref(place.module);
	module_unref(module);
	end(&stage, symbols);
}

/* The debug files of packages, in a mount namespace of the test's own. */
static void installed_debug_information_is_used(void **state)
{
	struct scratch scratch;
	struct subject subject;
	char upper[512];

	if (geteuid() || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		print_message("kernel: only root has a mount namespace\n");
		skip();
	}
	assert_int_equal(scratch_make(&scratch), 0);
	/* Where no such package is installed there is no such folder either. */
	assert_int_equal(mount("memfs-test", scratch.path, "tmpfs", 0, NULL), 0);
	world_run(&scratch, "mkdir upper work");
	snprintf(upper, sizeof(upper), "lowerdir=/usr/lib,upperdir=%s/upper,workdir=%s/work", scratch.path,
		scratch.path);
	if (mount("memfs-test", "/usr/lib", "overlay", 0, upper)) {
		print_message("kernel: no overlay filesystem\n");
		umount2(scratch.path, MNT_DETACH);
		scratch_remove(&scratch);
		skip();
	}
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	world_run(&scratch,
		"gcc -g -O2 -Wl,--build-id=0x0123456789abcdef0123456789abcdef01234567 -o a $P/" SOURCE
		" && mkdir -p /usr/lib/debug/.build-id/01"
		" && objcopy --only-keep-debug a /usr/lib/debug/.build-id/01/"
		"23456789abcdef0123456789abcdef01234567.debug && strip a");
	subject_start(&subject, &scratch, "a", NULL, NULL);
	subject_listen(&subject);
	check(symbols, &subject, NAMES | HIDDEN_NAMES | LINES, SOURCE);
	subject_end(&subject);
	symbols_free(symbols);
	umount2("/usr/lib", MNT_DETACH);
	umount2(scratch.path, MNT_DETACH);
	scratch_remove(&scratch);
}

/* --- when the child fails --- */

enum { MANY = 10000 };

/* Places all over the C library of a process. */
static size_t many_places(const struct module_table *table, struct module_place *ret)
{
	const struct module_segment *segment = NULL;

	for (size_t i = 0; i < table->n; i++)
		if (!strncmp(table->segment[i].module->name, "libc.so", 7))
			segment = &table->segment[i];
	assert_non_null(segment);
	for (size_t i = 0; i < MANY; i++)
		ret[i] = module_table_place(
			table, segment->start + 1 + (segment->end - segment->start) / MANY * i);
	return MANY;
}

struct killer {
	struct symbols *symbols;
	uint64_t misses; /* before anybody waits for the child */
};

/* Kills the child once somebody waits for it. */
static void *kill_child(void *arg)
{
	const struct killer *killer = arg;

	while (symbols_status(killer->symbols).misses == killer->misses)
		usleep(1000);
	kill(symbols_status(killer->symbols).child, SIGKILL);
	return NULL;
}

static void a_child_killed_amid_a_batch_is_replaced(void **state)
{
	struct symbols *symbols = symbols_make((struct symbols_options) { 0 });
	static struct module_place place[MANY];
	static struct symbol *symbol[MANY];
	struct stage stage;
	pthread_t thread;
	size_t known = 0;

	begin(&stage, symbols);
	many_places(&stage.table, place);
	/* It is amid its work, and stands still until it is killed. */
	symbols_resolve(symbols, place, MANY / 2, within_s(300), symbol);
	for (size_t i = 0; i < MANY / 2; i++)
		symbol_unref(symbol[i]);
	assert_int_equal(kill(symbols_status(symbols).child, SIGSTOP), 0);
	struct killer killer = { symbols, symbols_status(symbols).misses };
	assert_int_equal(pthread_create(&thread, NULL, kill_child, &killer), 0);
	symbols_resolve(symbols, place, MANY, within_s(300), symbol);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < MANY; i++) {
		assert_non_null(symbol[i]);
		known += symbol[i]->n > 0;
		symbol_unref(symbol[i]);
	}
	assert_true(known > MANY / 10);
	struct symbols_status status = symbols_status(symbols);
	assert_int_equal(status.failed, 1);
	assert_int_equal(status.started, 2);
	end(&stage, symbols);
}

static void who_asks_a_child_that_hangs_is_let_go(void **state)
{
	struct symbols *symbols = symbols_make((struct symbols_options) { .question_ms = 600000 });
	struct stage stage;
	struct symbol *symbol;

	begin(&stage, symbols);
	pid_t child = symbols_status(symbols).child;
	assert_int_equal(kill(child, SIGSTOP), 0);
	struct module_place place = module_table_place(&stage.table, stage.subject.told[0].address);
	symbols_resolve(symbols, &place, 1, clock_monotonic_ns() + 50 * 1000000, &symbol);
	assert_null(symbol);
	/* Who asks again has what was found meanwhile; others waited in line. */
	assert_int_equal(kill(child, SIGCONT), 0);
	symbol = resolve_one(symbols, &stage.table, stage.subject.told[0].address);
	assert_string_equal(symbol->frame[0].function, "outer_function");
	symbol_unref(symbol);
	assert_int_equal(symbols_status(symbols).started, 1);
	end(&stage, symbols);
}

static void a_child_that_hangs_is_ended(void **state)
{
	struct symbols *symbols = symbols_make((struct symbols_options) { .question_ms = 5000 });
	struct stage stage;

	begin(&stage, symbols);
	assert_int_equal(kill(symbols_status(symbols).child, SIGSTOP), 0);
	assert_null(resolve_one(symbols, &stage.table, stage.subject.told[0].address));
	assert_int_equal(symbols_status(symbols).failed, 1);
	/* The module is left alone for a while, others are not. */
	assert_null(resolve_one(symbols, &stage.table, stage.subject.told[0].address));
	const struct module_segment *segment = &stage.table.segment[stage.table.n - 1];
	struct symbol *symbol = resolve_one(symbols, &stage.table, segment->start + 1);
	assert_non_null(symbol);
	symbol_unref(symbol);
	assert_int_equal(symbols_status(symbols).started, 2);
	end(&stage, symbols);
}

static void without_its_program_all_is_unknown(void **state)
{
	const struct symbols_options options = {
		.program = "/nonexistent/memfs-symbols", .uid = NOBODY, .gid = NOBODY
	};
	struct stage stage;
	struct symbols *symbols;

	assert_int_equal(symbols_new(&options, &symbols), 0);
	begin(&stage, symbols);
	const struct module_segment *segment = module_table_find(&stage.table, stage.subject.told[0].address);
	assert_string_equal(segment->module->name, "a");
	assert_false(segment->module->id.built);
	assert_null(resolve_one(symbols, &stage.table, stage.subject.told[0].address));
	end(&stage, symbols);
}

/* --- what the child may do --- */

static void line_of(const char *path, const char *key, char *ret, size_t cap)
{
	FILE *file CLEANUP_FCLOSE = fopen(path, "r");

	assert_non_null(file);
	while (fgets(ret, (int)cap, file))
		if (!strncmp(ret, key, strlen(key)))
			return;
	fail_msg("no %s in %s", key, path);
}

/* A child that has been asked. */
static struct symbols *ask_about_us(struct symbols_options options)
{
	struct symbols *symbols = symbols_make(options);
	struct module_table table = { 0 };
	struct proc_root root;
	int dir;

	assert_int_equal(proc_root_init(&root, "/"), 0);
	assert_int_equal(proc_open_pid(&root, (uint32_t)getpid(), &dir), PROC_OK);
	assert_int_equal(module_table_read(symbols, dir, within_s(60), &table), PROC_OK);
	module_table_deinit(symbols, &table);
	close(dir);
	proc_root_deinit(&root);
	return symbols;
}

static void the_child_has_no_rights(void **state)
{
	struct symbols *symbols = ask_about_us((struct symbols_options) { 0 });
	pid_t child = symbols_status(symbols).child;
	char path[64], line[256];

	assert_true(child > 0);
	snprintf(path, sizeof(path), "/proc/%d/status", child);
	line_of(path, "CapEff:", line, sizeof(line));
	assert_string_equal(line, "CapEff:\t0000000000000000\n");
	line_of(path, "CapPrm:", line, sizeof(line));
	assert_string_equal(line, "CapPrm:\t0000000000000000\n");
	line_of(path, "NoNewPrivs:", line, sizeof(line));
	assert_string_equal(line, "NoNewPrivs:\t1\n");
	if (geteuid() == 0) {
		line_of(path, "Uid:", line, sizeof(line));
		assert_string_equal(line, "Uid:\t65534\t65534\t65534\t65534\n");
		line_of(path, "Groups:", line, sizeof(line));
		assert_int_equal(strspn(line + 7, "\t \n"), strlen(line + 7));
	}
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	line_of(path, "Seccomp:", line, sizeof(line));
	assert_string_equal(line, "Seccomp:\t2\n");
#endif
	symbols_free(symbols);
}

static void an_idle_child_ends(void **state)
{
	struct symbols *symbols = ask_about_us((struct symbols_options) { .idle_ms = 50 });

	while (symbols_status(symbols).child)
		usleep(10000);
	assert_int_equal(symbols_status(symbols).started, 1);
	assert_int_equal(symbols_status(symbols).failed, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and is reaped */
	symbols_free(symbols);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_of_all_kinds_are_understood),
		cmocka_unit_test(names_of_cxx_are_as_people_wrote_them),
		cmocka_unit_test(what_is_loaded_later_and_gone_from_the_disk_is_known),
		cmocka_unit_test(a_module_is_found_by_what_its_process_says),
		cmocka_unit_test(a_child_killed_amid_a_batch_is_replaced),
		cmocka_unit_test(who_asks_a_child_that_hangs_is_let_go),
		cmocka_unit_test(a_child_that_hangs_is_ended),
		cmocka_unit_test(without_its_program_all_is_unknown),
		cmocka_unit_test(the_child_has_no_rights),
		cmocka_unit_test(an_idle_child_ends),
		cmocka_unit_test(installed_debug_information_is_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
