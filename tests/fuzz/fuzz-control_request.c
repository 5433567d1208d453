/* SPDX-License-Identifier: MIT */
/* Any datagram: it is refused, or what the decoder says of it holds. */
#include "collector/control/control_request.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_request request;
	struct span part;
	int r = control_request_parse(data, size, &request, &part);
	if (r == CONTROL_REQUEST_NAMELESS) {
		CHECK(size < 16);
		return 0;
	}
	if (r > 0) {
		const char *reason = NULL;
		CHECK(control_request_refusal(r, &reason) > 0 && reason);
		return 0;
	}
	CHECK(request.version == CONTROL_VERSION);
	CHECK(request.op >= CONTROL_OP_RELEASE && request.op < N_CONTROL_OPS);
	CHECK(part.p == (const char *)data + sizeof(request) && part.n == size - sizeof(request));
	CHECK(request.offset + part.n <= request.total && request.total <= CONTROL_PAYLOAD_MAX);
	return 0;
}
