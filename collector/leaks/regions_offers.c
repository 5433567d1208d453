/* SPDX-License-Identifier: MIT */
/* shim.sock: what comes in. */
#include <sys/socket.h>

#include "collector/leaks/region_offer.h"
#include "collector/leaks/regions_inner.h"
#include "schema/shadow.h"

/* False where nothing is left. */
static bool take_one(struct regions *regions)
{
	struct shadow_offer bytes;
	union {
		struct cmsghdr align;
		char bytes[REGION_OFFER_CONTROL_MAX];
	} control;
	struct iovec part = { &bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct region_offer offer;

	ssize_t n = recvmsg(regions->options.offers_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return false;
	if (!region_offer_take(&message, &bytes, (size_t)n, &offer)) {
		regions->stat.refused_total++;
		return true;
	}
	struct region_meeting meeting = {
		.pid = offer.pid, .uid = offer.uid, .pidfd = offer.pidfd, .gone = offer.gone
	};
	regions_meet(regions, offer.fd, &meeting);
	return true;
}

/* No more than so many at a turn: the loop has others to serve. */
void regions_take_offers(struct regions *regions)
{
	for (int i = 0; i < REGIONS_OFFERS_TURN && take_one(regions); i++)
		regions_sweep(regions);
}
