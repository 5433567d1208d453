/* SPDX-License-Identifier: MIT */
/* One datagram of the control channel, taken apart and checked. Pure: survives any bytes. */
#pragma once

#include <stddef.h>

#include "schema/base/kv.h"
#include "schema/control.h"

enum control_request_outcome {
	CONTROL_REQUEST_NAMELESS = 1, /* too short to hold an id: nobody to answer */
	CONTROL_REQUEST_VERSION,      /* of another version than CONTROL_VERSION */
	CONTROL_REQUEST_OP,           /* no such operation */
	CONTROL_REQUEST_LENGTH,       /* the lengths contradict each other, or exceed the limits */
};

/*
 * Returns 0, with *ret_part inside the datagram, or a positive enum control_request_outcome. *ret_request is
 * filled unless NAMELESS; of a refused datagram only version, op and id mean something, and released of one
 * refused for its op.
 */
int control_request_parse(
	const void *datagram, size_t n, struct control_request *ret_request, struct span *ret_part);

/* What a refused client is told: the errno, and the sentence in *ret_reason. */
int control_request_refusal(enum control_request_outcome outcome, const char **ret_reason);
