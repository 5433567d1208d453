/* SPDX-License-Identifier: MIT */
/* One region: which files are taken for one, who drives it, its clock, its modes; and what absences are told.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/leaks/region_absence.h"
#include "collector/leaks/region_drive.h"
#include "collector/leaks/region_maps.h"
#include "collector/leaks/table.h"
#include "schema/base/clock.h"
#include "schema/proc/pid_auxv.h"
#include "schema/proc/pid_stat.h"

static const int64_t second_ns = 1000000000;

static int make_file(uint64_t bytes, int seals)
{
	int fd = memfd_create(SHADOW_NAME, MFD_ALLOW_SEALING | MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static struct shadow_header good_header(void)
{
	return (struct shadow_header) {
		.magic = SHADOW_MAGIC,
		.version = SHADOW_VERSION,
		.state = SHADOW_READY,
		.granule_shift = 5,
		.leaves = 4,
		.created_boot_ns = (uint64_t)(clock_boottime_ns() - 10 * second_ns),
		.created_real_ns = (uint64_t)(clock_realtime_ns() - 10 * second_ns),
		.pid = (uint32_t)getpid(),
	};
}

static struct region *open_with(const struct shadow_header *header)
{
	int fd = make_file(SHADOW_FILE_BYTES, SHADOW_SEALS);
	struct region *region;
	struct err err = { 0 };

	assert_int_equal(pwrite(fd, header, sizeof(*header), 0), sizeof(*header));
	assert_int_equal(region_open(fd, &region, &err), 0);
	return region;
}

static struct region *open_good(void)
{
	struct shadow_header header = good_header();
	return open_with(&header);
}

static void assert_refused(int fd, const char *reason)
{
	struct region *region = NULL;
	struct err err = { 0 };

	assert_int_equal(region_open(fd, &region, &err), -EBADMSG);
	assert_string_equal(err.reason, reason);
	assert_null(region);
	/* It was taken over also then. */
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void what_is_no_region_is_refused(void **state)
{
	struct shadow_header header = good_header();
	char path[] = "/tmp/test-region-XXXXXX", again[64];
	int fd = make_file(SHADOW_FILE_BYTES, F_SEAL_SEAL | F_SEAL_GROW);

	assert_refused(fd, "its size is not sealed");
	assert_refused(make_file(SHADOW_FILE_BYTES, 0), "its size is not sealed");
	assert_refused(make_file(4096, SHADOW_SEALS), "it has a size that no region has");
	assert_refused(make_file(SHADOW_FILE_BYTES + 1, SHADOW_SEALS), "it has a size that no region has");
	assert_refused(open("/dev/null", O_RDWR), "it is no memfd");
	int file = mkstemp(path);
	assert_true(file >= 0);
	unlink(path);
	assert_refused(file, "it is no memfd");
	/* One that could not be written: neither driven nor given back. */
	fd = make_file(SHADOW_FILE_BYTES, SHADOW_SEALS);
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	assert_refused(open(again, O_RDONLY | O_CLOEXEC), "it cannot be written");
	close(fd);
	fd = make_file(SHADOW_FILE_BYTES, SHADOW_SEALS & ~F_SEAL_SEAL);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
	assert_refused(fd, "it cannot be mapped: Operation not permitted");
	fd = make_file(SHADOW_FILE_BYTES, SHADOW_SEALS);
	header.version = 9;
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	assert_refused(fd, "it is of another version");
}

static void one_that_nobody_took_yet_waits(void **state)
{
	struct shadow_header header = good_header();
	struct region *region;
	struct err err = { 0 };

	header.state = SHADOW_EMPTY;
	region = open_with(&header);
	assert_false(region->ready);
	assert_int_equal(region_settle(region, &err), REGION_NOT_READY);
	assert_int_equal(region_set_mode(region, SHADOW_EXACT, 0, clock_boottime_ns()), -EINVAL);
	atomic_store(&region->shared->state, SHADOW_CLAIMED);
	assert_int_equal(region_settle(region, &err), REGION_NOT_READY);
	atomic_store(&region->shared->state, SHADOW_READY);
	assert_int_equal(region_settle(region, &err), REGION_OK);
	assert_int_equal(region->fixed.leaves, 4);
	/* What is scribbled later changes nothing that was checked. */
	region->shared->leaves = UINT64_MAX;
	assert_int_equal(region_settle(region, &err), REGION_OK);
	assert_int_equal(region->fixed.leaves, 4);
	region_unref(region);
}

static void scribbled_while_it_waited(void **state)
{
	struct shadow_header header = { 0 };
	struct region *region = open_with(&header);
	struct err err = { 0 };

	atomic_store(&region->shared->state, SHADOW_READY);
	assert_int_equal(region_settle(region, &err), -EBADMSG);
	assert_string_equal(err.reason, "it is not a shadow region");
	region_unref(region);
}

static void a_region_of_the_future_has_no_age(void **state)
{
	struct region *region = open_good();
	int64_t now_ns = clock_boottime_ns();

	assert_true(region_age_ms(region, now_ns) >= 9000 && region_age_ms(region, now_ns) <= 11000);
	region->fixed.created_boot_ns = UINT64_MAX;
	assert_int_equal(region_age_ms(region, clock_boottime_ns()), 0);
	region_unref(region);
}

/* --- driving --- */

static uint64_t own_name(void)
{
	struct proc_root root;
	struct pid_stat stat;
	char text[1024];
	size_t len;

	assert_int_equal(proc_root_init(&root, "/"), 0);
	assert_int_equal(proc_read_short(root.proc, "self/stat", text, sizeof(text), &len), 0);
	assert_true(pid_stat_parse(&stat, text, len));
	proc_root_deinit(&root);
	return shadow_owner(stat.pid, stat.start_ticks);
}

static void one_drives_and_its_death_frees(void **state)
{
	struct region *region = open_good();
	struct proc_root root;
	uint64_t self = own_name(), dead = shadow_owner(shadow_owner_pid(self), 1), other;

	assert_int_equal(proc_root_init(&root, "/"), 0);
	assert_int_equal(region_own(region, &root, self), REGION_DRIVEN);
	assert_true(region->ours);
	assert_int_equal(region_own(region, &root, self), REGION_DRIVEN);
	/* Another one, which does not know that we are the same. */
	other = shadow_owner(4194303, 1);
	assert_int_equal(region_own(region, &root, other), REGION_OTHERS);
	assert_false(region->ours);
	assert_int_equal(region_set_mode(region, SHADOW_EXACT, 0, clock_boottime_ns()), REGION_OTHERS);
	/* Its pid is in use again, by one that started later. */
	atomic_store(&region->shared->owner, dead);
	assert_int_equal(region_own(region, &root, self), REGION_DRIVEN);
	assert_int_equal(atomic_load(&region->shared->owner), self);
	region_disown(region, self);
	assert_int_equal(atomic_load(&region->shared->owner), 0);
	/* What is no process at all. */
	atomic_store(&region->shared->owner, UINT64_MAX);
	assert_int_equal(region_own(region, &root, self), REGION_DRIVEN);
	proc_root_deinit(&root);
	region_unref(region);
}

static void what_the_environment_began_goes_on(void **state)
{
	struct shadow_header header = good_header();
	struct region_driving driving;
	struct proc_root root;

	header.control = shadow_control(SHADOW_EXACT, 0);
	header.driver = SHADOW_BY_ENVIRONMENT;
	struct region *region = open_with(&header);
	assert_int_equal(proc_root_init(&root, "/"), 0);
	assert_int_equal(region_own(region, &root, own_name()), REGION_DRIVEN);
	region_read_driving(region, &driving);
	assert_int_equal(driving.mode, SHADOW_EXACT);
	assert_int_equal(driving.driver, SHADOW_BY_ENVIRONMENT);
	assert_int_equal(driving.attached_epoch, 0);
	assert_int_equal(driving.attached_boot_ns, header.created_boot_ns);
	region_tick(region, (int64_t)header.created_boot_ns + 5 * second_ns);
	region_read_driving(region, &driving);
	assert_int_equal(driving.epoch, 5 * 16);
	assert_int_equal(driving.attached_epoch, 0);
	proc_root_deinit(&root);
	region_unref(region);
}

static void the_clock_goes_on_only(void **state)
{
	struct region *region = open_good();
	int64_t begin_ns = (int64_t)region->fixed.created_boot_ns;
	struct region_driving driving;

	region->ours = true;
	region_tick(region, begin_ns + second_ns);
	assert_int_equal(atomic_load(&region->shared->stamp), 0); /* it is off */
	assert_int_equal(region_set_mode(region, SHADOW_EXACT, 0, begin_ns + second_ns), REGION_DRIVEN);
	region_read_driving(region, &driving);
	assert_int_equal(driving.epoch, 16);
	assert_int_equal(driving.attached_epoch, 16);
	region_tick(region, begin_ns + 3 * second_ns);
	region_tick(region, begin_ns + 2 * second_ns);
	region_read_driving(region, &driving);
	assert_int_equal(driving.epoch, 48);
	/* Scribbled. */
	atomic_store(&region->shared->stamp, UINT64_MAX);
	region_tick(region, begin_ns + 4 * second_ns);
	region_read_driving(region, &driving);
	assert_int_equal(driving.epoch, 64);
	region->end = REGION_DIED;
	region_tick(region, begin_ns + 9 * second_ns);
	region_read_driving(region, &driving);
	assert_int_equal(driving.epoch, 64);
	assert_int_equal(region_set_mode(region, SHADOW_OFF, 0, begin_ns), -ESRCH);
	region_unref(region);
}

static uint64_t control_of(const struct region *region)
{
	return atomic_load(&region->shared->control);
}

static void modes_change_as_the_contract_says(void **state)
{
	struct region *region = open_good();
	int64_t now_ns = clock_boottime_ns();
	uint64_t attached;

	region->ours = true;
	assert_int_equal(region_set_mode(region, N_SHADOW_MODES, 0, now_ns), -EINVAL);
	assert_int_equal(region_set_mode(region, SHADOW_SAMPLE, UINT64_MAX, now_ns), -EINVAL);
	assert_int_equal(region_set_mode(region, SHADOW_SAMPLE, 0, now_ns), REGION_DRIVEN);
	assert_int_equal(control_of(region), shadow_control(SHADOW_SAMPLE, SHADOW_SAMPLE_BYTES));
	attached = atomic_load(&region->shared->attached);
	assert_true(attached > 0);
	assert_int_equal(region_set_mode(region, SHADOW_STACK, 4096, now_ns), REGION_DRIVEN);
	assert_int_equal(control_of(region), shadow_control(SHADOW_STACK, 4096));
	/* From here on any block may be on record. */
	assert_int_equal(region_set_mode(region, SHADOW_EXACT, 0, now_ns), REGION_DRIVEN);
	assert_int_equal(control_of(region), SHADOW_EXACT);
	assert_int_equal(region_set_mode(region, SHADOW_SAMPLE, 4096, now_ns), REGION_DRIVEN);
	assert_int_equal(control_of(region), shadow_control(SHADOW_SAMPLE, 4096) | SHADOW_MIXED);
	assert_int_equal(region_set_mode(region, SHADOW_FOLLOW, 0, now_ns), REGION_DRIVEN);
	assert_int_equal(control_of(region), SHADOW_FOLLOW | SHADOW_MIXED);
	assert_int_equal(atomic_load(&region->shared->attached), attached);
	assert_int_equal(region_set_mode(region, SHADOW_OFF, 0, now_ns), REGION_DRIVEN);
	assert_int_equal(control_of(region), 0);
	/* A new attach within the same epoch tells old slots apart all the same, and forgets the mixture. */
	assert_int_equal(region_set_mode(region, SHADOW_SAMPLE, 0, now_ns), REGION_DRIVEN);
	assert_true(atomic_load(&region->shared->attached) > attached);
	assert_int_equal(control_of(region), shadow_control(SHADOW_SAMPLE, SHADOW_SAMPLE_BYTES));
	region_unref(region);
}

static void memory_is_given_back_where_it_is_off(void **state)
{
	struct region *region = open_good();
	char page[4096] = { 1 };

	region->ours = true;
	assert_int_equal(region_set_mode(region, SHADOW_EXACT, 0, clock_boottime_ns()), REGION_DRIVEN);
	assert_int_equal(pwrite(region->fd, page, sizeof(page), SHADOW_SITES_AT), sizeof(page));
	uint64_t before = table_region_bytes(region->fd);
	for (int i = 0; i < 64; i++)
		assert_int_equal(
			pwrite(region->fd, page, sizeof(page), (off_t)(SHADOW_SLOTS_AT + 8192 * i)), 4096);
	assert_true(table_region_bytes(region->fd) >= before + 64 * 4096);
	assert_int_equal(region_give_back(region), -EBUSY);
	assert_int_equal(region_set_mode(region, SHADOW_OFF, 0, clock_boottime_ns()), REGION_DRIVEN);
	atomic_store(&region->giving_back, true);
	assert_int_equal(region_set_mode(region, SHADOW_EXACT, 0, clock_boottime_ns()), -EBUSY);
	assert_int_equal(region_give_back(region), 0);
	atomic_store(&region->giving_back, false);
	assert_int_equal(table_region_bytes(region->fd), before);
	assert_int_equal(region_set_mode(region, SHADOW_EXACT, 0, clock_boottime_ns()), REGION_DRIVEN);
	region_unref(region);
}

/* --- absence --- */

static void maps_tell(void **state)
{
	static const char text[] =
		"55d0-55d1 r-xp 00000000 fe:01 12 /usr/bin/x\n"
		"7f0000-7f4000 rw-s 00000000 00:01 45430  /memfd:memfs-shadow (deleted)\n"
		"7f8000-7fc000 rw-s 08000000 00:01 45430  /memfd:memfs-shadow (deleted)\n"
		"7fd000-7fe000 rw-s 00000000 00:01 45431  /memfd:memfs-shadow-not (deleted)\n"
		"800000-801000 r-xp 00000000 fe:01 13 /opt/libmemfs-preload.so (deleted)\n"
		"801000-802000 rw-p 00001000 fe:01 13 /opt/libmemfs-preload.so (deleted)\n"
		"802000-803000 rw-p 00000000 00:00 0 \n"
		"900000-901000 r-xp 00000000 fe:01 14 /usr/lib/libasan.so.8.0.0\n";
	struct region_maps maps = { 0 };
	struct span rest = { text, sizeof(text) - 1 };

	region_maps_take(&maps, &rest, true);
	assert_int_equal(rest.n, 0);
	assert_int_equal(maps.n_regions, 1);
	assert_int_equal(maps.region[0].inode, 45430);
	assert_int_equal(maps.region[0].start, 0x7f0000);
	assert_int_equal(maps.n_data, 1);
	assert_int_equal(maps.data[0].start, 0x801000);
	assert_true(maps.library && maps.sanitizer && maps.any);
}

static void every_reason_has_its_words(void **state)
{
	for (unsigned absence = 0; absence <= ABSENCE_UNREACHABLE; absence++) {
		for (unsigned reason = 0; reason < N_SHADOW_REASONS; reason++) {
			struct region_absent absent = { .absence = (enum region_absence)absence,
				.reason = (enum shadow_reason)reason,
				.error = 12 };
			CLEANUP_BUF struct buf text = BUF_INIT;
			assert_true(strlen(region_absent_name(&absent)) > 0);
			region_absent_put(&text, &absent);
			assert_true(text.len > 10 && !buf_error(&text) && !memchr(text.data, '\n', text.len));
		}
	}
}

static void a_beacon_is_not_believed_blindly(void **state)
{
	struct shadow_beacon beacon = {
		.magic = SHADOW_BEACON_MAGIC, .version = SHADOW_VERSION, .reason = SHADOW_SECCOMP
	};
	struct region_absent absent;

	assert_true(region_beacon_parse(&beacon, sizeof(beacon), &absent));
	assert_string_equal(region_absent_name(&absent), "seccomp");
	beacon.reason = 4000000000U;
	assert_true(region_beacon_parse(&beacon, sizeof(beacon), &absent));
	assert_int_equal(absent.absence, ABSENCE_OTHER_VERSION);
	assert_false(region_beacon_parse(&beacon, sizeof(beacon) - 1, &absent));
	beacon.magic++;
	assert_false(region_beacon_parse(&beacon, sizeof(beacon), &absent));
}

static void of_this_process(void **state)
{
	struct region_absent absent;
	struct pid_auxv auxv;
	struct proc_root root;
	char bytes[2048];
	size_t len;
	int dir;

	assert_int_equal(proc_root_init(&root, "/"), 0);
	assert_int_equal(proc_open_pid(&root, (uint32_t)getpid(), &dir), 0);
	assert_int_equal(proc_read_short(dir, "auxv", bytes, sizeof(bytes), &len), 0);
	assert_true(pid_auxv_parse(&auxv, bytes, len));
	assert_true(auxv.wide && auxv.interpreted && !auxv.secure);
	assert_int_equal(auxv.page_bytes, sysconf(_SC_PAGESIZE));
	assert_int_equal(region_look_for_absence(dir, &absent), PROC_OK);
	assert_true(absent.absence == ABSENCE_NOT_PRELOADED || absent.absence == ABSENCE_SANITIZER);
	close(dir);
	proc_root_deinit(&root);
}

/* The shim as it was built, in a program that only waits. */
static void of_one_with_the_shim(void **state)
{
	char self[4096] = "", library[4200];
	struct region_absent absent = { .absence = ABSENCE_UNKNOWN };
	struct region_maps maps = { 0 };
	struct proc_root root;
	int dir, ends[2];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) > 0)
		*strrchr(self, '/') = 0;
	snprintf(library, sizeof(library), "%s/../" SHADOW_LIBRARY, self);
	if (access(library, R_OK))
		skip();
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (!pid) {
		dup2(ends[0], STDIN_FILENO);
		setenv("LD_PRELOAD", library, true);
		unsetenv(SHADOW_TRACE_VARIABLE);
		setenv(SHADOW_RUN_VARIABLE, "/nonexistent", true);
		execl("/bin/cat", "cat", NULL);
		_exit(127);
	}
	assert_int_equal(proc_root_init(&root, "/"), 0);
	assert_int_equal(proc_open_pid(&root, (uint32_t)pid, &dir), 0);
	for (int i = 0; i < 2000 && !(maps.library && maps.n_regions); i++) {
		struct region_maps now = { 0 };
		poll(NULL, 0, 5);
		assert_int_equal(region_maps_read(dir, &now), PROC_OK);
		maps = now;
	}
	assert_int_equal(region_look_for_absence(dir, &absent), PROC_OK);
	int fd = region_maps_open(dir, &maps, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(absent.absence == ABSENCE_NONE || absent.absence == ABSENCE_UNREACHABLE);
	assert_int_equal(absent.inode, maps.region[0].inode);
	if (fd >= 0) {
		struct region *region;
		struct err err = { 0 };
		assert_int_equal(region_open(fd, &region, &err), 0);
		assert_int_equal(region->fixed.pid, pid);
		assert_true(region->ready);
		region_unref(region);
	}
	assert_int_equal(region_look_for_absence(dir, &absent), PROC_GONE);
	close(ends[0]);
	close(ends[1]);
	close(dir);
	proc_root_deinit(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_region_is_refused),
		cmocka_unit_test(one_that_nobody_took_yet_waits),
		cmocka_unit_test(scribbled_while_it_waited),
		cmocka_unit_test(a_region_of_the_future_has_no_age),
		cmocka_unit_test(one_drives_and_its_death_frees),
		cmocka_unit_test(what_the_environment_began_goes_on),
		cmocka_unit_test(the_clock_goes_on_only),
		cmocka_unit_test(modes_change_as_the_contract_says),
		cmocka_unit_test(memory_is_given_back_where_it_is_off),
		cmocka_unit_test(maps_tell),
		cmocka_unit_test(every_reason_has_its_words),
		cmocka_unit_test(a_beacon_is_not_believed_blindly),
		cmocka_unit_test(of_this_process),
		cmocka_unit_test(of_one_with_the_shim),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
