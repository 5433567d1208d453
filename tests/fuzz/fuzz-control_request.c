/* SPDX-License-Identifier: MIT */
/* Any datagram: it is refused, or what the decoder says of it holds. */
#include <stdlib.h>

#include "collector/control_request.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct control_request request;
	struct span part;
	int r = control_request_parse(data, size, &request, &part);
	if (r == CONTROL_REQUEST_NAMELESS) {
		if (size >= 16)
			abort();
		return 0;
	}
	if (r > 0) {
		const char *reason = NULL;
		if (control_request_refusal(r, &reason) <= 0 || !reason)
			abort();
		return 0;
	}
	if (request.version != CONTROL_VERSION || request.op < CONTROL_OP_RELEASE ||
		request.op >= N_CONTROL_OPS)
		abort();
	if (part.p != (const char *)data + sizeof(request) || part.n != size - sizeof(request))
		abort();
	if ((size_t)request.offset + part.n > request.total || request.total > CONTROL_PAYLOAD_MAX)
		abort();
	return 0;
}
