/* SPDX-License-Identifier: MIT */
#include "collector/leaks/leak_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/leaks/records.h"
#include "collector/leaks/region_absence.h"
#include "collector/leaks/watch.h"
#include "collector/inquiry/rights.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/leak_text.h"

struct leak_inquiry {
	struct inquiry inquiry; /* its subject is the row of the file */
	uid_t uid;              /* of whoever asks */
	struct watch *watch;    /* a reference; NULL: the process is not traced */
	struct report_options options;
	struct buf text;
	bool streamed; /* the call is answered, or was given up */
};

struct leak_file {
	const char *name; /* as mounted */
	int (*put)(struct leak_inquiry *it);
};

static int put_report(struct leak_inquiry *it, void (*put)(const struct report *report, struct buf *out))
{
	struct report report;
	int r = report_take(it->watch->region->fd, &it->watch->book, &it->options, &report);

	if (r)
		return r;
	put(&report, &it->text);
	report_deinit(&report);
	return buf_error(&it->text);
}

static int put_callers(struct leak_inquiry *it)
{
	return put_report(it, report_put_callers);
}

static int put_folded(struct leak_inquiry *it)
{
	return put_report(it, report_put_folded);
}

/* Hands the text over as it is made: who reads a piece does so while the next one is written. */
static int stream(struct leak_inquiry *it, struct record_text *text, uint64_t total)
{
	struct control_call *call = it->inquiry.calls[0];
	CLEANUP_FREE char *piece = malloc(CONTROL_SEGMENT);
	size_t n;

	if (!piece)
		return -ENOMEM;
	it->streamed = true;
	while ((n = record_text_read(text, piece, CONTROL_SEGMENT)) &&
		control_call_answer_part(call, total, piece, n))
		;
	return 0;
}

static int put_rows(struct leak_inquiry *it, const struct table_head *head, const struct records *records,
	const uint64_t *merged_caller)
{
	struct record_text *text;
	int r = record_text_new(it->watch->region->fd, head, it->inquiry.pid, records, merged_caller, &text);

	if (r)
		return r;
	uint64_t total = record_text_len(text);
	if (total > CONTROL_ANSWER_MAX) {
		r = -EFBIG;
	} else if (total > CONTROL_SEGMENT) {
		r = stream(it, text, total);
	} else {
		char *room = buf_reserve(&it->text, CONTROL_SEGMENT + LEAK_RECORD_MAX);
		it->text.len = room ? record_text_read(text, room, CONTROL_SEGMENT + LEAK_RECORD_MAX) : 0;
		r = buf_error(&it->text);
	}
	record_text_free(text);
	return r;
}

static int put_records(struct leak_inquiry *it)
{
	CLEANUP_FREE uint64_t *merged_caller = NULL;
	struct table_head head;
	struct records records;
	const char *fault;
	int r = table_read_head(it->watch->region->fd, &head, &fault);

	if (!r)
		r = report_take_records(it->watch->region->fd, &it->watch->book, &it->options, &head,
			clock_boottime_ns(), &records, &merged_caller);
	if (r)
		return r;
	r = put_rows(it, &head, &records, merged_caller);
	records_deinit(&records);
	return r;
}

static const struct leak_file files[] = {
	{ "records", put_records },
	{ "callers", put_callers },
	{ "folded", put_folded },
};

static int explain(struct leak_inquiry *it, int r)
{
	struct err *err = &it->inquiry.err;

	switch (-r) {
	case EAGAIN:
		return err_set(err, EAGAIN, "the process has just begun: its records are not ready yet");
	case EPROTO:
		return err_set(err, EIO, "the process has overwritten its records");
	case EFBIG:
		return err_set(err, EFBIG,
			"the table is longer than %d bytes: raise min_age to see the oldest alone",
			CONTROL_ANSWER_MAX);
	default:
		return err_set(err, -r, "the records of the process cannot be read: %s", err_name(-r));
	}
}

static int work_file(struct inquiry *inquiry, int dir, int living)
{
	struct leak_inquiry *it = (struct leak_inquiry *)inquiry;
	const struct leak_file *file = inquiry->subject;
	gid_t gid;
	int r = rights_check_owner(it->uid, living, &gid, &inquiry->err);

	if (r)
		return r;
	r = file->put(it);
	if (!r && it->text.len > CONTROL_ANSWER_MAX)
		r = -EFBIG;
	return r ? explain(it, r) : PROC_OK;
}

/* One sentence for a person: what keeps the process from being traced, and what to do about it. */
static int work_refuse(struct inquiry *inquiry, int dir, int living)
{
	struct leak_inquiry *it = (struct leak_inquiry *)inquiry;
	struct region_absent absent;
	char reason[ERR_REASON_MAX];
	struct buf text = BUF_FIXED(reason);
	gid_t gid;
	int r = rights_check_owner(it->uid, living, &gid, &inquiry->err);

	if (!r)
		r = region_look_for_absence(dir, &absent);
	if (r)
		return r;
	if (absent.absence == ABSENCE_NONE)
		return err_set(&inquiry->err, EAGAIN, "the process has just begun: try again in a moment");
	region_absent_put(&text, &absent);
	return err_set(&inquiry->err, EOPNOTSUPP, "%.*s", (int)text.len, reason);
}

static void answer_text(const struct inquiry *inquiry, struct control_call *call)
{
	const struct leak_inquiry *it = (const struct leak_inquiry *)inquiry;
	if (!it->streamed)
		control_call_answer(call, CONTROL_OK, 0, it->text.data, it->text.len);
}

static void deinit(struct inquiry *inquiry)
{
	struct leak_inquiry *it = (struct leak_inquiry *)inquiry;

	buf_deinit(&it->text);
	lists_unref(it->options.lists);
	watch_unref(it->watch);
}

static const struct inquiry_kind file_kind = { .size = sizeof(struct leak_inquiry),
	.work = work_file,
	.answer = answer_text,
	.deinit = deinit,
	.streams = true };
static const struct inquiry_kind refusal_kind = {
	.size = sizeof(struct leak_inquiry), .work = work_refuse, .answer = answer_text, .deinit = deinit
};

void leak_files_refuse(struct inquiries *inquiries, struct control_call *call)
{
	struct inquiry *inquiry = inquiries_begin(inquiries, &refusal_kind, NULL, call);

	if (!inquiry)
		return;
	((struct leak_inquiry *)inquiry)->uid = call->uid;
	inquiries_run(inquiries, inquiry);
}

static void begin(struct leaks *leaks, struct inquiries *inquiries, const struct leak_file *file,
	struct control_call *call)
{
	struct watch *watch = leaks_watch(leaks, call->pid, call->start_ticks);

	if (!watch) {
		static const char reason[] = "the process is not traced: write to leaks/trace";
		control_call_answer(call, CONTROL_ERROR, ENODATA, reason, sizeof(reason) - 1);
		return;
	}
	struct inquiry *inquiry = inquiries_begin(inquiries, &file_kind, file, call);
	if (!inquiry)
		return;
	struct leak_inquiry *it = (struct leak_inquiry *)inquiry;
	it->uid = call->uid;
	it->watch = watch_ref(watch);
	it->options = watch_report_options(watch);
	inquiries_run(inquiries, inquiry);
}

void leak_files_request(struct leaks *leaks, struct inquiries *inquiries, struct control_call *call)
{
	const struct span name = { call->payload.p + sizeof(LEAK_FILES) - 1,
		call->payload.n - (sizeof(LEAK_FILES) - 1) };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		if (span_equals(name, files[i].name)) {
			begin(leaks, inquiries, &files[i], call);
			return;
		}
	}
	control_call_answer(call, CONTROL_NOT_FOUND, 0, NULL, 0);
}
