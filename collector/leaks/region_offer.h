/* SPDX-License-Identifier: MIT */
/* The datagram by which a process offers its region: anyone can send anything. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { REGION_OFFER_CONTROL_MAX = 256 }; /* bytes of control messages that are looked at */

struct region_offer {
	int fd;    /* the region's; -1: none came */
	int pidfd; /* of the sender (Linux 6.5); -1: none came */
	bool gone; /* the sender had ended when a descriptor of it was to be made */
	uint32_t pid, uid;
};

/*
 * From what recvmsg stored. True where it is an offer, whose descriptors are the caller's then. False else: what
 * descriptors came are closed, as are those that no offer has.
 */
bool region_offer_take(const struct msghdr *message, const void *bytes, size_t len, struct region_offer *ret);
