/* SPDX-License-Identifier: MIT */
/*
 * Calls over the shared connection. Of the threads that wait for answers one, the leader, receives: it hands
 * others theirs, and with its own it leaves the lead to one that still waits. A lone caller thus pays one
 * send and one receive. The client's lock guards everything but the sockets' calls, visits and copies, which
 * run without it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/control_client.h"
#include "fs/control_link.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"

/* A part of an answer in a segment that waits for its owner. */
struct part {
	uint32_t segment, len;
	uint64_t offset, total;
};

/* One call under way, on its caller's stack. */
struct waiter {
	const struct control_ask *ask;
	struct buf *bytes;
	int64_t begin_ns, deadline_ns;
	bool fresh; /* begin_ns is as good as now: a call that need not wait reads the clock once */
	const atomic_bool *cancelled;
	struct connection *connection;
	unsigned slot;
	pthread_cond_t wake;
	bool waiting;            /* on wake */
	uint64_t arrived, total; /* bytes of the answer so far, and of all of it */
	struct part parts[CONTROL_SEGMENTS];
	unsigned n_parts;
	bool whole; /* the last part arrived; the slot is another's */
	enum control_status status;
	int error;
	bool replaced;
	struct buf ending; /* what replaced an answer whose first parts may just be copied to bytes */
};

/* A connection and the requests in flight on it: the low bits of an id say the slot. */
struct connection {
	struct control_link link;
	unsigned refs; /* the client's, and one a waiter */
	int lost;      /* why: -errno */
	struct waiter *leader;
	uint64_t free_slots; /* mask */
	uint64_t sequence;
	struct {
		uint64_t id;
		struct waiter *waiter; /* NULL: given up, its answer is still to come */
	} slots[CONTROL_IN_FLIGHT];
};
_Static_assert(CONTROL_IN_FLIGHT == 64, "a bit of free_slots each");

struct control_client {
	pthread_mutex_t lock;
	struct connection *connection; /* NULL: to be made with the next call */
	bool connecting;
	pthread_cond_t admission; /* a slot came free, or connecting ended */
	unsigned n_queueing;
	char path[];
};

void control_reply_deinit(struct control_reply *reply)
{
	buf_deinit(&reply->bytes);
}

int control_client_new(const char *socket_path, struct control_client **ret_client)
{
	size_t n = strlen(socket_path) + 1;
	if (n > CONTROL_PATH_MAX)
		return -ENAMETOOLONG;
	struct control_client *client = calloc(1, sizeof(*client) + n);
	if (!client)
		return -ENOMEM;
	memcpy(client->path, socket_path, n);
	pthread_mutex_init(&client->lock, NULL);
	pthread_cond_init(&client->admission, NULL);
	*ret_client = client;
	return 0;
}

static void unref(struct connection *connection)
{
	if (--connection->refs > 0)
		return;
	control_link_deinit(&connection->link);
	free(connection);
}

void control_client_free(struct control_client *client)
{
	if (!client)
		return;
	if (client->connection)
		unref(client->connection);
	pthread_cond_destroy(&client->admission);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

/* Has the next call connect anew; answers on their way may still be received. */
static void retire(struct control_client *client, struct connection *connection)
{
	if (client->connection != connection)
		return;
	client->connection = NULL;
	unref(connection);
}

static void lose(struct control_client *client, struct connection *connection, int why)
{
	connection->lost = why;
	control_link_shut(&connection->link);
	for (unsigned i = 0; i < CONTROL_IN_FLIGHT; i++)
		if (connection->slots[i].waiter)
			pthread_cond_signal(&connection->slots[i].waiter->wake);
	retire(client, connection);
	pthread_cond_broadcast(&client->admission);
}

static void free_slot(struct control_client *client, struct connection *connection, unsigned slot)
{
	connection->slots[slot].waiter = NULL;
	connection->free_slots |= UINT64_C(1) << slot;
	if (client->n_queueing > 0)
		pthread_cond_signal(&client->admission);
}

/* Waits until signalled, or the waiter's deadline, or it is time to look at its cancellation. */
static void wait_on(struct control_client *client, pthread_cond_t *cond, int64_t until_ns)
{
	if (until_ns == INT64_MAX) {
		pthread_cond_wait(cond, &client->lock);
		return;
	}
	struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };
	pthread_cond_clockwait(cond, &client->lock, CLOCK_MONOTONIC, &until);
}

/* -ECANCELED, -ETIMEDOUT, or 0 with the time until which to wait. */
static int check_time(struct waiter *waiter, int64_t *ret_until_ns)
{
	*ret_until_ns = waiter->deadline_ns;
	if (waiter->deadline_ns == INT64_MAX && !waiter->cancelled)
		return 0;
	int64_t now_ns = waiter->fresh ? waiter->begin_ns : clock_monotonic_ns();
	if (waiter->cancelled && now_ns - waiter->begin_ns >= CONTROL_PATIENCE_MS * INT64_C(1000000) &&
		atomic_load(waiter->cancelled))
		return -ECANCELED;
	if (now_ns >= waiter->deadline_ns)
		return -ETIMEDOUT;
	int64_t look_ns = now_ns + CONTROL_CANCEL_MS * INT64_C(1000000);
	if (waiter->cancelled && look_ns < waiter->deadline_ns)
		*ret_until_ns = look_ns;
	return 0;
}

static void drop_parts(struct waiter *waiter)
{
	for (unsigned i = 0; i < waiter->n_parts; i++)
		control_link_release(&waiter->connection->link, waiter->parts[i].segment, true);
	waiter->n_parts = 0;
}

/* Gives a received answer to whom it belongs. -EPROTO where it does not go on from where the last part ended.
 */
static int deliver(
	struct control_client *client, struct connection *connection, const struct control_datagram *datagram)
{
	const struct control_answer *answer = &datagram->answer;
	unsigned slot = answer->id % CONTROL_IN_FLIGHT;
	bool in_segment = answer->segment != CONTROL_NO_SEGMENT;
	bool last = answer->offset + answer->len == answer->total;
	if (connection->free_slots >> slot & 1 || connection->slots[slot].id != answer->id)
		return -EPROTO;
	struct waiter *waiter = connection->slots[slot].waiter;
	if (!waiter) {
		if (in_segment)
			control_link_release(&connection->link, answer->segment, true);
		if (last)
			free_slot(client, connection, slot);
		return 0;
	}
	if (in_segment) {
		if (answer->offset != waiter->arrived ||
			(waiter->arrived > 0 && answer->total != waiter->total) ||
			waiter->n_parts == CONTROL_SEGMENTS)
			return -EPROTO;
		waiter->parts[waiter->n_parts++] =
			(struct part) { answer->segment, answer->len, answer->offset, answer->total };
	} else {
		if (waiter->arrived > 0 && answer->status == CONTROL_OK)
			return -EPROTO;
		drop_parts(waiter);
		buf_put(waiter->arrived > 0 ? &waiter->ending : waiter->bytes, datagram->bytes, answer->len);
		waiter->replaced = waiter->arrived > 0;
	}
	waiter->arrived += answer->len;
	waiter->total = answer->total;
	waiter->status = answer->status;
	waiter->error = (int)answer->error;
	waiter->whole = last;
	if (last)
		free_slot(client, connection, slot);
	if (connection->leader != waiter)
		pthread_cond_signal(&waiter->wake);
	return 0;
}

/*
 * Where nobody receives, wakes one that waits to do so: the next in the order of slots, so that none is
 * always it. Those that send or copy will see for themselves that the lead is free.
 */
static void pass_lead(struct control_client *client, struct connection *connection, unsigned from_slot)
{
	if (connection->leader || connection->free_slots == UINT64_MAX)
		return;
	for (unsigned i = 1; i <= CONTROL_IN_FLIGHT; i++) {
		struct waiter *waiter = connection->slots[(from_slot + i) % CONTROL_IN_FLIGHT].waiter;
		if (waiter && waiter->waiting) {
			pthread_cond_signal(&waiter->wake);
			return;
		}
	}
	if (client->n_queueing > 0)
		pthread_cond_signal(&client->admission);
}

/* Receives one answer, for whomever it is, unless none comes until then. */
static void lead(
	struct control_client *client, struct connection *connection, struct waiter *waiter, int64_t until_ns)
{
	struct control_datagram datagram;
	connection->leader = waiter;
	pthread_mutex_unlock(&client->lock);
	int r = control_link_receive(&connection->link, &datagram,
		waiter->fresh ? waiter->begin_ns : clock_monotonic_ns(), until_ns);
	waiter->fresh = false;
	pthread_mutex_lock(&client->lock);
	if (r == 0)
		r = deliver(client, connection, &datagram);
	connection->leader = NULL;
	if (r < 0)
		lose(client, connection, r);
}

/* Visits or copies the first part and gives its segment back; without the lock meanwhile. */
static int consume(struct control_client *client, struct waiter *waiter)
{
	struct connection *connection = waiter->connection;
	struct part part = waiter->parts[0];
	waiter->n_parts--;
	memmove(waiter->parts, waiter->parts + 1, waiter->n_parts * sizeof(part));
	enum control_status status = waiter->status;
	waiter->fresh = false;
	pass_lead(client, connection, waiter->slot);
	pthread_mutex_unlock(&client->lock);

	const char *bytes = connection->link.segments[part.segment];
	const struct control_ask *ask = waiter->ask;
	int r = 0;
	if (ask->visit && status == CONTROL_OK) {
		r = ask->visit(ask->visit_ctx, bytes, part.len, part.offset, part.total);
	} else {
		if (part.offset == 0) {
			buf_clear(waiter->bytes);
			buf_reserve(waiter->bytes, part.total);
		}
		buf_put(waiter->bytes, bytes, part.len);
		r = buf_error(waiter->bytes);
	}
	control_link_release(&connection->link, part.segment, part.offset + part.len < part.total);
	pthread_mutex_lock(&client->lock);
	return r;
}

static int connect_now(struct control_client *client, struct waiter *waiter)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	waiter->fresh = false;
	client->connecting = true;
	pthread_mutex_unlock(&client->lock);
	int r = control_link_open(client->path, waiter->deadline_ns, &connection->link);
	pthread_mutex_lock(&client->lock);
	client->connecting = false;
	pthread_cond_broadcast(&client->admission);
	if (r < 0) {
		free(connection);
		return r;
	}
	connection->refs = 1;
	connection->free_slots = UINT64_MAX;
	client->connection = connection;
	return 0;
}

/* Gives the waiter a slot on the connection, made if need be. */
static int admit(struct control_client *client, struct waiter *waiter)
{
	for (;;) {
		int64_t until_ns;
		int r = check_time(waiter, &until_ns);
		if (r == 0 && !client->connection && !client->connecting)
			r = connect_now(client, waiter);
		struct connection *connection = client->connection;
		if (r < 0) {
			/* The signal that we may have swallowed was for another as well. */
			if (client->n_queueing > 0)
				pthread_cond_signal(&client->admission);
			return r;
		}
		if (connection && connection->free_slots) {
			waiter->slot = (unsigned)__builtin_ctzll(connection->free_slots);
			waiter->connection = connection;
			connection->free_slots &= connection->free_slots - 1;
			connection->refs++;
			connection->slots[waiter->slot].waiter = waiter;
			connection->slots[waiter->slot].id =
				connection->sequence++ * CONTROL_IN_FLIGHT + waiter->slot;
			return 0;
		}
		if (connection && !connection->leader) {
			/* All slots may be of calls given up: then nobody but us is left to receive their
			 * answers. */
			connection->refs++;
			lead(client, connection, waiter, until_ns);
			pass_lead(client, connection, 0);
			unref(connection);
			continue;
		}
		client->n_queueing++;
		waiter->fresh = false;
		wait_on(client, &client->admission, until_ns);
		client->n_queueing--;
	}
}

static int await(struct control_client *client, struct waiter *waiter)
{
	struct connection *connection = waiter->connection;
	for (;;) {
		while (waiter->n_parts > 0) {
			int r = consume(client, waiter);
			if (r < 0)
				return r;
		}
		if (waiter->whole)
			return 0;
		if (connection->lost)
			return connection->lost;
		int64_t until_ns;
		int r = check_time(waiter, &until_ns);
		if (r < 0)
			return r;
		if (connection->leader) {
			waiter->waiting = true;
			waiter->fresh = false;
			wait_on(client, &waiter->wake, until_ns);
			waiter->waiting = false;
			continue;
		}
		lead(client, connection, waiter, until_ns);
	}
}

/* Ends the waiter's part in the connection. `begun`: the collector has something of the request. */
static void withdraw(struct control_client *client, struct waiter *waiter, bool sent, bool begun)
{
	struct connection *connection = waiter->connection;
	drop_parts(waiter);
	if (!waiter->whole && !begun) {
		free_slot(client, connection, waiter->slot);
	} else if (!waiter->whole) {
		connection->slots[waiter->slot].waiter = NULL;
		/* What is left half sent would stay in the collector's way for ever. */
		if (!connection->lost &&
			!control_link_send_note(
				&connection->link, CONTROL_OP_CANCEL, connection->slots[waiter->slot].id) &&
			!sent)
			control_link_shut(&connection->link);
	}
	pass_lead(client, connection, waiter->slot);
	unref(connection);
}

static int try_call(struct control_client *client, struct waiter *waiter, bool *ret_sent)
{
	const struct control_ask *ask = waiter->ask;
	int r = admit(client, waiter);
	if (r < 0)
		return r;
	struct connection *connection = waiter->connection;
	struct control_request request = {
		.version = CONTROL_VERSION,
		.op = ask->op,
		.id = connection->slots[waiter->slot].id,
		.uid = ask->uid,
		.tgid = ask->tgid,
		.pid = ask->pid,
		.start_ticks = ask->start_ticks,
		.total = (uint32_t)ask->payload.n,
	};
	bool begun = false;
	pthread_mutex_unlock(&client->lock);
	r = control_link_send(&connection->link, &request, ask->payload.p, waiter->deadline_ns, &begun);
	pthread_mutex_lock(&client->lock);
	*ret_sent = r == 0;
	if (r == 0)
		r = await(client, waiter);
	else if (r == -ECONNRESET)
		retire(client, connection);
	withdraw(client, waiter, *ret_sent, begun);
	if (r == 0 && waiter->replaced) {
		buf_clear(waiter->bytes);
		buf_put(waiter->bytes, waiter->ending.data, waiter->ending.len);
	}
	buf_deinit(&waiter->ending);
	return r;
}

int control_client_call(struct control_client *client, const struct control_ask *ask,
	struct control_reply *reply, int timeout_ms, const atomic_bool *cancelled)
{
	if (ask->payload.n > CONTROL_PAYLOAD_MAX)
		return -EMSGSIZE;
	const struct waiter fresh = {
		.ask = ask,
		.bytes = &reply->bytes,
		.deadline_ns =
			timeout_ms < 0 ? INT64_MAX : clock_monotonic_ns() + timeout_ms * INT64_C(1000000),
		.cancelled = cancelled,
		.wake = PTHREAD_COND_INITIALIZER,
	};
	struct waiter waiter;
	int r;
	/*
	 * A connection found dead before all was sent says nothing about the request: collectors may have
	 * come and gone since the last call. One lost later allows a second try if applying twice does no
	 * harm.
	 */
	unsigned unsent = 0, lost = 0;
	pthread_mutex_lock(&client->lock);
	do {
		bool sent = false;
		waiter = fresh;
		waiter.fresh = unsent + lost == 0;
		buf_clear(&reply->bytes);
		r = try_call(client, &waiter, &sent);
		if (sent)
			lost++;
		else
			unsent++;
	} while (r == -ECONNRESET && unsent < 3 && (lost == 0 || (ask->idempotent && lost < 2)));
	pthread_mutex_unlock(&client->lock);
	if (r < 0)
		return r;
	r = buf_error(&reply->bytes);
	if (r == 0 && ask->visit && waiter.status == CONTROL_OK && reply->bytes.len > 0) {
		/* A short answer, come within the datagram. */
		r = ask->visit(ask->visit_ctx, reply->bytes.data, reply->bytes.len, 0, reply->bytes.len);
		buf_clear(&reply->bytes);
	}
	if (r < 0)
		return r;
	reply->status = waiter.status;
	reply->error = waiter.error;
	return 0;
}
