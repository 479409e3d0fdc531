// SPDX-License-Identifier: GPL-2.0
/*
 * Part of fuzz.c: message mode, include/ivring/msg.h, between our side and a peer
 * that writes the indices, the wishes and the records before any read of them.
 */
#include <ivring/msg.h>

#define MSG_RING	4096ULL

static struct {
	u8 *control;		/* two rings' lines: ours to produce, ours to consume */
	u8 *tx_data, *rx_data;
	struct ivring_tx tx;
	struct ivring_rx rx;
	struct ivring_msg_tx mtx;
	struct ivring_msg_rx mrx;
	u64 covered;		/* by what was read of the peer's index */
	bool on;
} msg;

static struct ivring_wire_ring *msg_wire(bool rx)
{
	return (struct ivring_wire_ring *)msg.control + rx;
}

static void messages_peer(void)
{
	u64 cons = msg.rx.cons, record = (cons + msg.mrx.taken) & (MSG_RING - 1);
	u64 offset;
	u32 len;
	u8 n;

	switch (next8() & 15) {
	case 0:
	case 1:
		POKE(msg_wire(true)->producer.prod, cons + 8 * (next8() & 63));
		break;
	case 2:
		POKE(msg_wire(true)->producer.prod, next_near(msg.rx.prod + 8));
		break;
	case 3:
		POKE(msg_wire(true)->producer.prod, cons + MSG_RING);
		break;
	case 4:
		POKE(msg_wire(false)->consumer.cons, msg.tx.prod);
		break;
	case 5:
		POKE(msg_wire(false)->consumer.cons, next_near(msg.tx.cons + 8));
		break;
	case 6:
		POKE(msg_wire(false)->consumer.event, next_near(msg.tx.prod));
		POKE(msg_wire(true)->producer.event, next_near(cons));
		break;
	case 7:
	case 8:
	case 9:
		len = next8() < 200 ? next8() : next_near(MSG_RING);
		memcpy(msg.rx_data + record, &len, sizeof(len));
		break;
	case 10:
		offset = next64() % MSG_RING;
		for (n = next8() % 16; n && offset < MSG_RING; n--)
			msg.rx_data[offset++] = next8();
		break;
	case 11:
		offset = next64() % (2 * sizeof(struct ivring_wire_ring));
		msg.control[offset] = next8();
		break;
	default:
		break;
	}
}

/* Somebody is about to read there: the peer comes first. */
static void messages_look(const volatile void *p)
{
	u64 prod;

	CHECK(++looks < LOOKS_MAX);
	if (input_left)
		messages_peer();
	if (p != (const volatile void *)&msg.rx.peer->prod)
		return;
	prod = msg.rx.peer->prod;
	if (prod - msg.rx.cons <= MSG_RING && prod - msg.rx.cons > msg.covered - msg.rx.cons)
		msg.covered = prod;
}

static void messages_check(void)
{
	CHECK(msg.tx.prod - msg.tx.cons <= MSG_RING);
	CHECK(msg.mtx.pending <= ivring_tx_cached_space(&msg.tx));
	CHECK(msg.rx.prod - msg.rx.cons <= msg.covered - msg.rx.cons);
	CHECK(msg.covered - msg.rx.cons <= MSG_RING);
	CHECK(msg.mrx.taken <= msg.rx.prod - msg.rx.cons);
}

/* What lies in a mapping of twice the ring, behind its header */
static void messages_inside(const u8 *p, u64 len, const u8 *data)
{
	CHECK(p >= data + sizeof(struct ivring_wire_msg) && p <= data + 2 * MSG_RING);
	CHECK(len <= data + 2 * MSG_RING - p && len <= MSG_RING);
	CHECK(!((uintptr_t)p % IVRING_MSG_ALIGN));
}

static int messages_send(void)
{
	struct ivring_msg_tx was;
	u64 len = next_near(8), more;
	u8 *payload = NULL;
	int ret = ivring_msg_reserve(&msg.mtx, len, (void **)&payload);

	CHECK(ret == 0 || ret == -EAGAIN || ret == -EMSGSIZE || ret == -EPROTO);
	CHECK((ret == -EMSGSIZE) == (len > ivring_msg_len_max(msg.tx.window)));
	if (ret) {
		CHECK(ivring_msg_commit(&msg.mtx, 0, 0) == -EINVAL);
		return ret == -EPROTO ? ret : 0;
	}
	messages_inside(payload, len, msg.tx_data);
	memset(payload, 0x5a, len);
	more = next8() < 200 ? len : next_near(len);
	was = msg.mtx;
	ret = ivring_msg_commit(&msg.mtx, more, 1);
	CHECK(ret == (more <= len ? 0 : -EINVAL));
	CHECK(!ret || msg.mtx.pending == was.pending);
	return 0;
}

static int messages_receive(void)
{
	u64 taken = msg.mrx.taken;
	const u8 *payload;
	u32 len, type;
	int ret = ivring_msg_next(&msg.mrx, (const void **)&payload, &len, &type);

	CHECK(ret == 0 || ret == -EAGAIN || ret == -EPROTO);
	if (ret) {
		CHECK(msg.mrx.taken == taken);
		return ret == -EPROTO ? ret : 0;
	}
	messages_inside(payload, len, msg.rx_data);
	CHECK(sizeof(struct ivring_wire_msg) + (u64)len <= msg.mrx.taken - taken);
	CHECK(msg.mrx.taken <= msg.covered - msg.rx.cons);
	(void)memchr(payload, 0xa5, len);
	return 0;
}

static int messages_step(void)
{
	switch (next8() & 7) {
	case 0:
	case 1:
		return messages_send();
	case 2:
		ivring_msg_publish(&msg.mtx);
		return 0;
	case 3:
	case 4:
	case 5:
		return messages_receive();
	case 6:
		ivring_msg_prefetch(&msg.mrx);
		ivring_msg_release(&msg.mrx);
		return 0;
	default:
		ivring_tx_arm_drained(&msg.tx);
		ivring_rx_arm(&msg.rx, 1);
		return 0;
	}
}

static void messages_map(void)
{
	msg.control = map_alone(0, PAGE_SIZE, 1);
	msg.tx_data = map_alone(PAGE_SIZE, MSG_RING, 2);
	msg.rx_data = map_alone(PAGE_SIZE + MSG_RING, MSG_RING, 2);
}

static void messages(void)
{
	static const u64 starts[] = {
		0, 8, (1ULL << 32) - 16, (1ULL << 63) - 8, -8ULL, -16ULL, -4096ULL, -8192ULL,
	};
	u64 start = starts[next8() & 7];
	unsigned int steps, broken = 0;

	if (!msg.control)
		messages_map();
	memset(msg.control, 0, PAGE_SIZE);
	memset(msg.rx_data, 0, MSG_RING);
	msg.tx = (struct ivring_tx) {
		.own = &msg_wire(false)->producer, .peer = &msg_wire(false)->consumer,
		.prod = start, .cons = start, .size = MSG_RING,
		.window = IVRING_MSG_ALIGN + next64() % (MSG_RING - IVRING_MSG_ALIGN + 1),
	};
	msg.rx = (struct ivring_rx) {
		.own = &msg_wire(true)->consumer, .peer = &msg_wire(true)->producer,
		.prod = start, .cons = start, .size = MSG_RING,
	};
	POKE(msg_wire(true)->producer.prod, start);
	POKE(msg_wire(false)->consumer.cons, start);
	msg.covered = start;
	CHECK(!ivring_msg_tx_init(&msg.mtx, &msg.tx, msg.tx_data));
	CHECK(!ivring_msg_rx_init(&msg.mrx, &msg.rx, msg.rx_data));

	msg.on = true;
	for (steps = 0; input_left && steps < 400; steps++) {
		looks = 0;
		/* Its user would give up by now; it must not matter if not. */
		broken += messages_step() == -EPROTO;
		messages_check();
		if (broken > 3)
			break;
	}
	msg.on = false;
}
