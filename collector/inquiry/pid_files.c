/* SPDX-License-Identifier: MIT */
#include "collector/inquiry/pid_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/inquiry/pid_regions.h"
#include "collector/inquiry/rights.h"
#include "schema/base/cleanup.h"
#include "schema/base/num.h"

enum { TRIES = 4 };

struct file_inquiry {
	struct inquiry inquiry; /* its subject is the row of the file */
	uid_t uid;              /* of whoever asks */
	struct buf text;
	/* While it is read: */
	size_t n; /* mappings so far */
	struct pid_numa *numa;
	struct pid_numa_units units;
};

struct pid_file {
	const char *name;   /* as mounted */
	const char *source; /* as in /proc */
	/* Appends what the file brings, given where its source is and, of one that is no link, the source
	 * open. */
	int (*read)(struct file_inquiry *it, int at, int fd);
	bool of_leader; /* threads have no such file */
	bool is_link;
	bool is_list; /* of mappings, which the kernel gives piece by piece */
	bool for_all;
};

static int fail(struct file_inquiry *it, const char *source, int code)
{
	struct err *err = &it->inquiry.err;

	switch (code) {
	case EACCES:
	case EPERM:
		return geteuid() ? err_set(err, EACCES,
					   "the collector may not open %s of this process: run memfs as root",
					   source)
				 : err_set(err, EACCES, "user %u may not open %s of this process", it->uid,
					   source);
	case ESRCH:
	case ENODATA:
		return err_set(err, ENODATA, "the process has no memory of its own any more");
	case ENOENT:
		return err_set(err, ENODATA, "there is no %s of this process on this kernel", source);
	case EFBIG:
		return err_set(err, code, "this process's %s are more than %d bytes",
			((const struct pid_file *)it->inquiry.subject)->name, CONTROL_ANSWER_MAX);
	default:
		return err_set(err, code, "%s of this process cannot be read: %s", source, err_name(code));
	}
}

/* Opens with the rights of who asks, unless it is for all; of a link, reads it. */
static int open_file(struct file_inquiry *it, int at, const struct pid_file *file, int flags, int *ret_fd)
{
	struct rights rights;
	gid_t gid = 0;
	uid_t uid = file->for_all ? 0 : it->uid;
	int r = file->for_all ? PROC_OK : rights_check_owner(it->uid, at, &gid, &it->inquiry.err);

	if (r)
		return r;
	r = rights_lend(uid, gid, &rights);
	if (r)
		return err_set(&it->inquiry.err, -r,
			"the collector may not act as user %u: it lacks CAP_SETUID or CAP_SETGID", it->uid);
	r = file->is_link ? proc_read_link(at, file->source, &it->text)
			  : proc_open_file(at, file->source, flags, ret_fd);
	rights_restore(&rights);
	return r < 0 ? fail(it, file->source, -r) : r;
}

/*
 * Memory that was there at the open may be gone: what has become another program since (exec) ends in the
 * middle of its text, or has none.
 */
static bool is_there_still(int fd)
{
	char byte;
	return pread(fd, &byte, 1, 0) == 1;
}

enum { READ_OK, READ_GONE = PROC_GONE, READ_CUT };

static int read_file(struct file_inquiry *it, const struct pid_file *file, int at, int fd)
{
	int r = file->read(it, at, fd);

	if (r == PROC_OK)
		r = buf_error(&it->text);
	if (r == -ESRCH || r == -ENODATA || (r == PROC_OK && file->is_list && !is_there_still(fd)))
		return READ_CUT;
	if (r == PROC_OK && it->text.len > CONTROL_ANSWER_MAX)
		r = -EFBIG;
	return r < 0 ? fail(it, file->source, -r) : r;
}

/* Anew where a program took another's place meanwhile, which is then to be opened as the first one was. */
static int work_file(struct inquiry *inquiry, int dir, int living)
{
	struct file_inquiry *it = (struct file_inquiry *)inquiry;
	const struct pid_file *file = inquiry->subject;
	int at = file->of_leader ? dir : living;

	for (int tries = 0; tries < TRIES; tries++) {
		CLEANUP_CLOSE int fd = -1;
		buf_clear(&it->text);
		it->n = 0;
		int r = open_file(it, at, file, O_RDONLY, &fd);
		if (r == PROC_OK)
			r = read_file(it, file, at, fd);
		if (r != READ_CUT)
			return r;
	}
	return fail(it, file->source, ENODATA);
}

static int work_reset(struct inquiry *inquiry, int dir, int living)
{
	/* Linux 4.0. */
	static const char reset_peak[] = "5";
	static const struct pid_file clear_refs = { .source = "clear_refs" };
	struct file_inquiry *it = (struct file_inquiry *)inquiry;
	CLEANUP_CLOSE int fd = -1;

	if (!inquiry->inquiries->sampler->root->real)
		return err_set(&inquiry->err, EOPNOTSUPP, "a captured machine cannot be changed");
	int r = open_file(it, living, &clear_refs, O_WRONLY, &fd);
	if (r)
		return r;
	if (write(fd, reset_peak, 1) == 1)
		return PROC_OK;
	if (errno == EINVAL)
		return err_set(&inquiry->err, EOPNOTSUPP,
			"this kernel cannot reset the peak of a process: Linux 4.0 and later can");
	return errno == ESRCH ? PROC_GONE : fail(it, clear_refs.source, errno);
}

static void answer_text(const struct inquiry *inquiry, struct control_call *call)
{
	const struct file_inquiry *it = (const struct file_inquiry *)inquiry;
	control_call_answer(call, CONTROL_OK, 0, it->text.data, it->text.len);
}

static void deinit(struct inquiry *inquiry)
{
	struct file_inquiry *it = (struct file_inquiry *)inquiry;
	buf_deinit(&it->text);
	free(it->numa);
}

/* Each open is decided by itself, so nothing is shared. */
static const struct inquiry_kind private_kind = {
	.size = sizeof(struct file_inquiry), .work = work_file, .answer = answer_text, .deinit = deinit
};
/* What is for everybody nobody may use to have a process walked more than once a second. */
static const struct inquiry_kind public_kind = { .size = sizeof(struct file_inquiry),
	.work = work_file,
	.answer = answer_text,
	.deinit = deinit,
	.shared = true,
	.keep_ns = 1000000000 };
static const struct inquiry_kind reset_kind = {
	.size = sizeof(struct file_inquiry), .work = work_reset, .answer = answer_text, .deinit = deinit
};

static ssize_t take_bytes(void *ctx, const char *text, size_t len, bool last)
{
	struct file_inquiry *it = ctx;
	buf_put(&it->text, text, len);
	return it->text.len > CONTROL_ANSWER_MAX ? -EFBIG : (ssize_t)len;
}

static int read_bytes(struct file_inquiry *it, int at, int fd)
{
	int r = proc_read_pieces(at, fd, take_bytes, it);
	return r || it->text.len ? r : -ENODATA;
}

static ssize_t take_regions(void *ctx, const char *text, size_t len, bool last)
{
	struct file_inquiry *it = ctx;
	struct span rest = { text, len };
	it->n += regions_put(&it->text, &rest, last);
	return it->text.len > CONTROL_ANSWER_MAX ? -EFBIG : (ssize_t)(len - rest.n);
}

static int read_regions(struct file_inquiry *it, int at, int fd)
{
	regions_put_head(&it->text);
	int r = proc_read_pieces(at, fd, take_regions, it);
	return r || it->n ? r : -ENODATA;
}

static ssize_t take_numa(void *ctx, const char *text, size_t len, bool last)
{
	struct file_inquiry *it = ctx;
	const char *newline = len ? memrchr(text, '\n', len) : NULL;
	size_t whole = newline ? (size_t)(newline - text) + 1 : 0;
	it->n += pid_numa_maps_add(it->numa, &it->units, text, whole);
	return (ssize_t)whole;
}

/* The size of a huge page where lines do not tell it. */
static int read_units(struct file_inquiry *it)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct span key, value;
	int r = proc_read(it->inquiry.inquiries->sampler->root->proc, "meminfo", &text);

	it->units.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	if (r)
		return r;
	struct kv_cursor cursor = kv_begin_lines(text.data, text.len);
	while (kv_next(&cursor, &key, &value)) {
		if (span_equals(key, "Hugepagesize"))
			num_parse_kb(value.p, value.n, &it->units.huge_page_bytes);
	}
	return 0;
}

static int read_numa(struct file_inquiry *it, int at, int fd)
{
	free(it->numa);
	it->numa = calloc(1, sizeof(*it->numa));
	if (!it->numa)
		return -ENOMEM;
	int r = read_units(it);
	if (!r)
		r = proc_read_pieces(at, fd, take_numa, it);
	if (!r && !it->n)
		r = -ENODATA;
	if (!r)
		numa_put(&it->text, it->numa);
	return r;
}

static int read_link(struct file_inquiry *it, int at, int fd)
{
	CLEANUP_BUF struct buf path = it->text;

	it->text = BUF_INIT;
	buf_put_escaped(&it->text, path.data, path.len);
	buf_putc(&it->text, '\n');
	return 0;
}

static const struct pid_file files[] = {
	{ "smaps_rollup", "smaps_rollup", read_bytes, .of_leader = true },
	{ "numa_maps", "numa_maps", read_bytes, .is_list = true },
	{ "exe", "exe", read_link, .is_link = true },
	{ "regions", "smaps", read_regions, .is_list = true },
	{ "numa", "numa_maps", read_numa, .is_list = true, .for_all = true },
};

static void begin(struct inquiries *inquiries, const struct inquiry_kind *kind, const struct pid_file *file,
	struct control_call *call)
{
	struct inquiry *inquiry = inquiries_begin(inquiries, kind, file, call);

	if (!inquiry)
		return;
	((struct file_inquiry *)inquiry)->uid = call->uid;
	inquiries_run(inquiries, inquiry);
}

void pid_files_request(struct inquiries *inquiries, struct control_call *call)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		if (span_equals(call->payload, files[i].name)) {
			begin(inquiries, files[i].for_all ? &public_kind : &private_kind, &files[i], call);
			return;
		}
	}
	control_call_answer(call, CONTROL_NOT_FOUND, 0, NULL, 0);
}

void pid_files_reset_peak(struct inquiries *inquiries, struct control_call *call)
{
	begin(inquiries, &reset_kind, NULL, call);
}
