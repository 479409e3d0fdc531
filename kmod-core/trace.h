/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: /sys/kernel/tracing/events/ivring. Documentation/tracing.rst
 * shows them at work.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ivring

#if !defined(_IVRING_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _IVRING_TRACE_H

#include <linux/tracepoint.h>
#include "internal.h"

#define show_link_state(state)					\
	__print_symbolic(state,					\
		{ IVRING_LINK_WAITING,	"waiting" },		\
		{ IVRING_LINK_UP,	"up" },			\
		{ IVRING_LINK_MISMATCH,	"mismatch" },		\
		{ IVRING_LINK_STALLED,	"stalled" },		\
		{ IVRING_LINK_DEAD,	"dead" },		\
		{ IVRING_LINK_SPLIT,	"split" })

#define show_channel_state(state)				\
	__print_symbolic(state,					\
		{ IVRING_CHANNEL_OPENING,	"opening" },	\
		{ IVRING_CHANNEL_CONNECTED,	"connected" },	\
		{ IVRING_CHANNEL_PEER_CLOSED,	"peer-closed" },	\
		{ IVRING_CHANNEL_RESET,		"reset" },	\
		{ IVRING_CHANNEL_BROKEN,	"broken" })

#define show_wait_events(events)				\
	__print_flags(events, "|",				\
		{ IVRING_WAIT_CONNECTED,	"connected" },	\
		{ IVRING_WAIT_IN,		"in" },		\
		{ IVRING_WAIT_OUT,		"out" },	\
		{ IVRING_WAIT_DRAINED,		"drained" })

/* The peer came, went, or is not what it should be. */
TRACE_EVENT(ivring_link_state,
	TP_PROTO(const struct ivring_link *link, u32 old),
	TP_ARGS(link, old),
	TP_STRUCT__entry(
		__field(u32, link)
		__field(u32, old)
		__field(u32, state)
		__field(u64, peer_epoch)
	),
	TP_fast_assign(
		__entry->link = link->number;
		__entry->old = old;
		__entry->state = link->state;
		__entry->peer_epoch = link->peer_epoch;
	),
	TP_printk("link=%u %s -> %s peer_epoch=%016llx", __entry->link,
		  show_link_state(__entry->old), show_link_state(__entry->state),
		  __entry->peer_epoch)
);

/* The conversation of a channel moved on. */
TRACE_EVENT(ivring_channel_state,
	TP_PROTO(const struct ivring_channel *ch, u32 state, int error),
	TP_ARGS(ch, state, error),
	TP_STRUCT__entry(
		__field(u32, link)
		__field(u32, channel)
		__field(u32, old)
		__field(u32, state)
		__field(int, error)
		__field(u64, conversation)
	),
	TP_fast_assign(
		__entry->link = ch->link->number;
		__entry->channel = ch->index;
		__entry->old = ch->state;
		__entry->state = state;
		__entry->error = error;
		__entry->conversation = ch->conversation;
	),
	TP_printk("link=%u channel=%u conversation=%llu %s -> %s error=%d", __entry->link,
		  __entry->channel, __entry->conversation, show_channel_state(__entry->old),
		  show_channel_state(__entry->state), __entry->error)
);

/* The peer wrote what it may not write: all four indices as this side knows them. */
TRACE_EVENT(ivring_broken,
	TP_PROTO(const struct ivring_channel *ch),
	TP_ARGS(ch),
	TP_STRUCT__entry(
		__field(u32, link)
		__field(u32, channel)
		__field(u64, tx_prod)
		__field(u64, tx_cons)
		__field(u64, rx_prod)
		__field(u64, rx_cons)
	),
	TP_fast_assign(
		__entry->link = ch->link->number;
		__entry->channel = ch->index;
		__entry->tx_prod = ch->tx.prod;
		__entry->tx_cons = ch->tx.cons;
		__entry->rx_prod = ch->rx.prod;
		__entry->rx_cons = ch->rx.cons;
	),
	TP_printk("link=%u channel=%u tx prod=%llu cons=%llu rx prod=%llu cons=%llu",
		  __entry->link, __entry->channel, __entry->tx_prod, __entry->tx_cons,
		  __entry->rx_prod, __entry->rx_cons)
);

DECLARE_EVENT_CLASS(ivring_span,
	TP_PROTO(const struct ivring_channel *ch, u64 index, u64 len),
	TP_ARGS(ch, index, len),
	TP_STRUCT__entry(
		__field(u32, link)
		__field(u32, channel)
		__field(u64, index)
		__field(u64, len)
	),
	TP_fast_assign(
		__entry->link = ch->link->number;
		__entry->channel = ch->index;
		__entry->index = index;
		__entry->len = len;
	),
	TP_printk("link=%u channel=%u index=%llu len=%llu", __entry->link, __entry->channel,
		  __entry->index, __entry->len)
);

/* Room for a producer, by RESERVE or for a copy. */
DEFINE_EVENT(ivring_span, ivring_reserve,
	TP_PROTO(const struct ivring_channel *ch, u64 index, u64 len),
	TP_ARGS(ch, index, len)
);

/* Data for a consumer, by PEEK or for a copy. */
DEFINE_EVENT(ivring_span, ivring_peek,
	TP_PROTO(const struct ivring_channel *ch, u64 index, u64 len),
	TP_ARGS(ch, index, len)
);

DECLARE_EVENT_CLASS(ivring_publish,
	TP_PROTO(const struct ivring_channel *ch, u64 index, u64 len, bool ring),
	TP_ARGS(ch, index, len, ring),
	TP_STRUCT__entry(
		__field(u32, link)
		__field(u32, channel)
		__field(u64, index)
		__field(u64, len)
		__field(bool, ring)
	),
	TP_fast_assign(
		__entry->link = ch->link->number;
		__entry->channel = ch->index;
		__entry->index = index;
		__entry->len = len;
		__entry->ring = ring;
	),
	TP_printk("link=%u channel=%u index=%llu len=%llu%s", __entry->link, __entry->channel,
		  __entry->index, __entry->len, __entry->ring ? " doorbell" : "")
);

/* Bytes handed to the peer; @index is the new prod. */
DEFINE_EVENT(ivring_publish, ivring_commit,
	TP_PROTO(const struct ivring_channel *ch, u64 index, u64 len, bool ring),
	TP_ARGS(ch, index, len, ring)
);

/* Bytes given back to the peer; @index is the new cons. */
DEFINE_EVENT(ivring_publish, ivring_release,
	TP_PROTO(const struct ivring_channel *ch, u64 index, u64 len, bool ring),
	TP_ARGS(ch, index, len, ring)
);

/* Someone goes to sleep until the peer does something. */
TRACE_EVENT(ivring_wait,
	TP_PROTO(const struct ivring_channel *ch, const struct ivring_wait *w),
	TP_ARGS(ch, w),
	TP_STRUCT__entry(
		__field(u32, link)
		__field(u32, channel)
		__field(u32, events)
		__field(u64, rx_min)
		__field(u64, tx_min)
	),
	TP_fast_assign(
		__entry->link = ch->link->number;
		__entry->channel = ch->index;
		__entry->events = w->events;
		__entry->rx_min = w->rx_min;
		__entry->tx_min = w->tx_min;
	),
	TP_printk("link=%u channel=%u events=%s rx_min=%llu tx_min=%llu", __entry->link,
		  __entry->channel, show_wait_events(__entry->events), __entry->rx_min,
		  __entry->tx_min)
);

/* And awakes, or was spared the sleep by a spin. */
TRACE_EVENT(ivring_wake,
	TP_PROTO(const struct ivring_channel *ch, u64 waited_ns, bool spun, int ret),
	TP_ARGS(ch, waited_ns, spun, ret),
	TP_STRUCT__entry(
		__field(u32, link)
		__field(u32, channel)
		__field(u64, waited_ns)
		__field(bool, spun)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->link = ch->link->number;
		__entry->channel = ch->index;
		__entry->waited_ns = waited_ns;
		__entry->spun = spun;
		__entry->ret = ret;
	),
	TP_printk("link=%u channel=%u waited_ns=%llu by=%s ret=%d", __entry->link,
		  __entry->channel, __entry->waited_ns, __entry->spun ? "spin" : "sleep",
		  __entry->ret)
);

DECLARE_EVENT_CLASS(ivring_vector,
	TP_PROTO(const struct ivring_link *link, u32 vector),
	TP_ARGS(link, vector),
	TP_STRUCT__entry(
		__field(u32, link)
		__field(u32, vector)
	),
	TP_fast_assign(
		__entry->link = link->number;
		__entry->vector = vector;
	),
	TP_printk("link=%u vector=%u", __entry->link, __entry->vector)
);

/* This side rings. */
DEFINE_EVENT(ivring_vector, ivring_doorbell,
	TP_PROTO(const struct ivring_link *link, u32 vector),
	TP_ARGS(link, vector)
);

/* The peer rang. */
DEFINE_EVENT(ivring_vector, ivring_interrupt,
	TP_PROTO(const struct ivring_link *link, u32 vector),
	TP_ARGS(link, vector)
);

#endif /* _IVRING_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
