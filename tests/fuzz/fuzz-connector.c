/* SPDX-License-Identifier: MIT */
/* Datagrams of the proc connector: events of leaders, with a pid that can be one; nothing is read outside. */
#include "collector/connector.h"
#include "tests/fuzz/fuzz.h"

struct seen {
	size_t n;
	int sum;
};

static void on_event(void *ctx, const struct connector_event *event)
{
	struct seen *seen = ctx;
	CHECK(event->kind >= CONNECTOR_LISTENING && event->kind <= CONNECTOR_EXIT);
	if (event->kind == CONNECTOR_LISTENING || event->kind == CONNECTOR_REFUSED)
		CHECK(event->pid == 0);
	else
		CHECK(event->pid > 0 && event->pid <= INT32_MAX);
	CHECK(event->kind == CONNECTOR_EXIT || event->wait_status == 0);
	seen->n++;
	seen->sum ^= (int)event->pid ^ event->wait_status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { 0 }, again = { 0 };
	connector_parse(data, size, on_event, &seen);
	/* A message is 16 bytes of netlink, 20 of connector and 24 of event at least. */
	CHECK(seen.n <= size / 56);
	connector_parse(data, size, on_event, &again);
	CHECK(again.n == seen.n && again.sum == seen.sum);
	return 0;
}
