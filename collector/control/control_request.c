/* SPDX-License-Identifier: MIT */
/* The decoder of control requests. */
#include <errno.h>
#include <string.h>

#include "collector/control/control_request.h"

int control_request_parse(
	const void *datagram, size_t n, struct control_request *ret_request, struct span *ret_part)
{
	struct control_request request = { 0 };
	if (n < offsetof(struct control_request, id) + sizeof(request.id))
		return CONTROL_REQUEST_NAMELESS;
	memcpy(&request, datagram, n < sizeof(request) ? n : sizeof(request));
	*ret_request = request;
	if (request.version != CONTROL_VERSION)
		return CONTROL_REQUEST_VERSION;
	if (n < sizeof(request))
		return CONTROL_REQUEST_LENGTH;
	if (request.op < CONTROL_OP_RELEASE || request.op >= N_CONTROL_OPS)
		return CONTROL_REQUEST_OP;
	if (request.len != n - sizeof(request) || request.len > CONTROL_INLINE)
		return CONTROL_REQUEST_LENGTH;
	if (request.total > CONTROL_PAYLOAD_MAX || request.offset > request.total ||
		request.len > request.total - request.offset)
		return CONTROL_REQUEST_LENGTH;
	if (request.total > 0 && request.len == 0)
		return CONTROL_REQUEST_LENGTH;
	*ret_part = (struct span) { (const char *)datagram + sizeof(request), request.len };
	return 0;
}

int control_request_refusal(enum control_request_outcome outcome, const char **ret_reason)
{
	switch (outcome) {
	case CONTROL_REQUEST_VERSION:
		*ret_reason = "the collector speaks another version of the control protocol";
		return EPROTONOSUPPORT;
	case CONTROL_REQUEST_OP:
		*ret_reason = "the collector knows no such operation";
		return EOPNOTSUPP;
	case CONTROL_REQUEST_NAMELESS:
	case CONTROL_REQUEST_LENGTH:
		break;
	}
	*ret_reason = "the lengths in the request contradict each other or exceed the limits";
	return EBADMSG;
}
