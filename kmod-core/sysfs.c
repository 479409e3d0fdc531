// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/class/ivring/ivring<L> and ivring<L>c<C>: one value per file.
 *
 * What goes through a link, and when, is for its users alone: none of this is for
 * others, and udev gives the files to the group that may use the node.
 */
#include <linux/sysfs.h>
#include <ivring/tune.h>
#include "internal.h"

#define to_link(dev)	container_of(dev, struct ivring_link, dev)
#define to_channel(dev)	container_of(dev, struct ivring_channel, dev)

static const char * const ivring_link_states[] = {
	[IVRING_LINK_WAITING] = "waiting",
	[IVRING_LINK_UP] = "up",
	[IVRING_LINK_MISMATCH] = "mismatch",
	[IVRING_LINK_STALLED] = "stalled",
	[IVRING_LINK_DEAD] = "dead",
	[IVRING_LINK_SPLIT] = "split",
};

static const char * const ivring_channel_states[] = {
	[IVRING_CHANNEL_OPENING] = "opening",
	[IVRING_CHANNEL_CONNECTED] = "connected",
	[IVRING_CHANNEL_PEER_CLOSED] = "peer-closed",
	[IVRING_CHANNEL_RESET] = "reset",
	[IVRING_CHANNEL_BROKEN] = "broken",
};

static const char * const ivring_memory_types[] = {
	[IVRING_MEMORY_UNKNOWN] = "unknown",
	[IVRING_MEMORY_WB] = "write-back",
	[IVRING_MEMORY_UNCACHED] = "uncached",
};

const char *ivring_link_state_name(u32 state)
{
	return ivring_link_states[state];
}

const char *ivring_channel_state_name(u32 state)
{
	return ivring_channel_states[state];
}

static umode_t ivring_sysfs_mode(struct kobject *kobj, struct attribute *attr, int index)
{
	return attr->mode & ~0007;
}

/* ---- links ---- */

#define IVRING_LINK_ATTR(name, format, value)						\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)	\
{											\
	struct ivring_link *link = to_link(dev);					\
											\
	return sysfs_emit(buf, format "\n", value);					\
}											\
static DEVICE_ATTR_RO(name)

IVRING_LINK_ATTR(label, "%s", link->geo.label);
IVRING_LINK_ATTR(transport, "%s", link->params.ops->name);
IVRING_LINK_ATTR(side, "%u", link->params.side);
IVRING_LINK_ATTR(state, "%s", ivring_link_states[READ_ONCE(link->state)]);
IVRING_LINK_ATTR(id, "%u", link->params.id);
IVRING_LINK_ATTR(peer_id, "%u", READ_ONCE(link->peer_id));
IVRING_LINK_ATTR(epoch, "%016llx", link->epoch);
IVRING_LINK_ATTR(peer_epoch, "%016llx", READ_ONCE(link->peer_epoch));
IVRING_LINK_ATTR(region_size, "%llu", link->geo.region_size);
IVRING_LINK_ATTR(ring_size, "%llu", link->geo.ring_size);
IVRING_LINK_ATTR(channels, "%u", link->geo.channels);
IVRING_LINK_ATTR(vectors, "%u", link->params.vectors);
IVRING_LINK_ATTR(peer_vectors, "%u", READ_ONCE(link->peer_vectors));
IVRING_LINK_ATTR(memory_type, "%s", ivring_memory_types[link->memory_type]);
IVRING_LINK_ATTR(user_memory_type, "%s", ivring_memory_types[READ_ONCE(link->user_memory_type)]);
IVRING_LINK_ATTR(memory_mbps, "%u", link->memory_mbps);

static ssize_t peer_timeout_ms_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_link(dev)->peer_timeout_ms));
}

static ssize_t peer_timeout_ms_store(struct device *dev, struct device_attribute *attr,
				     const char *buf, size_t count)
{
	struct ivring_link *link = to_link(dev);
	u32 value;
	int ret;

	ret = kstrtou32(buf, 0, &value);
	if (ret)
		return ret;
	/* Shorter than three beats cannot tell late from gone. */
	if (value && value < 3 * (u32)(IVRING_TICK_NS / NSEC_PER_MSEC))
		return -EINVAL;
	spin_lock(&link->lock);
	WRITE_ONCE(link->peer_timeout_ms, value);
	spin_unlock(&link->lock);
	return count;
}
static DEVICE_ATTR_RW(peer_timeout_ms);

static struct attribute *ivring_link_attrs[] = {
	&dev_attr_label.attr,
	&dev_attr_transport.attr,
	&dev_attr_side.attr,
	&dev_attr_state.attr,
	&dev_attr_id.attr,
	&dev_attr_peer_id.attr,
	&dev_attr_epoch.attr,
	&dev_attr_peer_epoch.attr,
	&dev_attr_region_size.attr,
	&dev_attr_ring_size.attr,
	&dev_attr_channels.attr,
	&dev_attr_vectors.attr,
	&dev_attr_peer_vectors.attr,
	&dev_attr_memory_type.attr,
	&dev_attr_user_memory_type.attr,
	&dev_attr_memory_mbps.attr,
	&dev_attr_peer_timeout_ms.attr,
	NULL
};

static const struct attribute_group ivring_link_group = {
	.is_visible = ivring_sysfs_mode,
	.attrs = ivring_link_attrs,
};

#define IVRING_LINK_STAT(name, index)							\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)	\
{											\
	return sysfs_emit(buf, "%lld\n", atomic64_read(&to_link(dev)->stats[index]));	\
}											\
static struct device_attribute ivring_link_stat_##name = __ATTR_RO(name)

IVRING_LINK_STAT(doorbells, IVRING_STAT_LINK_DOORBELLS);
IVRING_LINK_STAT(interrupts, IVRING_STAT_LINK_INTERRUPTS);
IVRING_LINK_STAT(ups, IVRING_STAT_LINK_UPS);
IVRING_LINK_STAT(downs, IVRING_STAT_LINK_DOWNS);
IVRING_LINK_STAT(restored, IVRING_STAT_LINK_RESTORED);
IVRING_LINK_STAT(late, IVRING_STAT_LINK_LATE);

static struct attribute *ivring_link_stat_attrs[] = {
	&ivring_link_stat_doorbells.attr,
	&ivring_link_stat_interrupts.attr,
	&ivring_link_stat_ups.attr,
	&ivring_link_stat_downs.attr,
	&ivring_link_stat_restored.attr,
	&ivring_link_stat_late.attr,
	NULL
};

static const struct attribute_group ivring_link_stat_group = {
	.name = "stats",
	.is_visible = ivring_sysfs_mode,
	.attrs = ivring_link_stat_attrs,
};

const struct attribute_group *ivring_link_groups[] = {
	&ivring_link_group,
	&ivring_link_stat_group,
	NULL
};

/* ---- channels ---- */

static ssize_t ivring_channel_state_show(struct device *dev, struct device_attribute *attr,
					 char *buf)
{
	struct ivring_channel *ch = to_channel(dev);
	const char *state = "closed";

	spin_lock(&ch->lock);
	if (ch->users)
		state = ivring_channel_states[ch->state];
	else if (ch->lingering)
		state = "lingering";
	spin_unlock(&ch->lock);
	return sysfs_emit(buf, "%s\n", state);
}

static struct device_attribute ivring_channel_attr_state =
	__ATTR(state, 0444, ivring_channel_state_show, NULL);

static ssize_t window_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(to_channel(dev)->tx.window));
}

/* Only between conversations: someone may wait for a piece of the old size. */
static ssize_t window_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	struct ivring_channel *ch = to_channel(dev);
	u64 value = ivring_tune_window(ch->tx.size);
	int ret;

	ret = sysfs_streq(buf, "auto") ? 0 : kstrtou64(buf, 0, &value);
	if (ret)
		return ret;
	if (value < IVRING_WIRE_RING_SIZE_MIN || value > ch->tx.size)
		return -EINVAL;
	spin_lock(&ch->lock);
	if (!ch->users && !ch->lingering)
		WRITE_ONCE(ch->tx.window, value);
	else
		ret = -EBUSY;
	spin_unlock(&ch->lock);
	return ret ?: count;
}
static DEVICE_ATTR_RW(window);

static ssize_t chunk_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ivring_channel *ch = to_channel(dev);
	u64 value;

	spin_lock(&ch->lock);
	value = ivring_tune_chunk(ch);
	spin_unlock(&ch->lock);
	return sysfs_emit(buf, "%llu\n", value);
}

static ssize_t chunk_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	struct ivring_channel *ch = to_channel(dev);
	u64 value = 0;
	int ret;

	ret = sysfs_streq(buf, "auto") ? 0 : kstrtou64(buf, 0, &value);
	if (ret)
		return ret;
	if (!sysfs_streq(buf, "auto") && (value < IVRING_CHUNK_MIN || value > ch->tx.size))
		return -EINVAL;
	spin_lock(&ch->lock);
	ch->chunk = value;
	spin_unlock(&ch->lock);
	return count;
}
static DEVICE_ATTR_RW(chunk);

static ssize_t spin_max_ns_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	u32 value = READ_ONCE(to_channel(dev)->spin_max_ns);

	return value == U32_MAX ? sysfs_emit(buf, "max\n") : sysfs_emit(buf, "%u\n", value);
}

static ssize_t spin_max_ns_store(struct device *dev, struct device_attribute *attr,
				 const char *buf, size_t count)
{
	u32 value = U32_MAX;
	int ret;

	ret = sysfs_streq(buf, "max") ? 0 : kstrtou32(buf, 0, &value);
	if (ret)
		return ret;
	WRITE_ONCE(to_channel(dev)->spin_max_ns, value);
	return count;
}
static DEVICE_ATTR_RW(spin_max_ns);

static struct attribute *ivring_channel_attrs[] = {
	&ivring_channel_attr_state.attr,
	&dev_attr_window.attr,
	&dev_attr_chunk.attr,
	&dev_attr_spin_max_ns.attr,
	NULL
};

static const struct attribute_group ivring_channel_group = {
	.is_visible = ivring_sysfs_mode,
	.attrs = ivring_channel_attrs,
};

/* Bytes that user space moved are in its own indices. */
static u64 ivring_channel_stat(struct ivring_channel *ch, enum ivring_channel_stat index)
{
	bool inside = ivring_link_enter(ch->link);
	u64 value;

	spin_lock(&ch->lock);
	if (inside)
		ivring_user_update(ch);
	value = ch->stats[index];
	spin_unlock(&ch->lock);
	if (inside)
		ivring_link_leave(ch->link);
	return value;
}

#define IVRING_CHANNEL_STAT(stat, index)						\
static ssize_t stat##_show(struct device *dev, struct device_attribute *attr, char *buf)	\
{											\
	return sysfs_emit(buf, "%llu\n", ivring_channel_stat(to_channel(dev), index));	\
}											\
static struct device_attribute ivring_channel_stat_##stat = __ATTR_RO(stat)

IVRING_CHANNEL_STAT(tx_bytes, IVRING_STAT_TX_BYTES);
IVRING_CHANNEL_STAT(rx_bytes, IVRING_STAT_RX_BYTES);
IVRING_CHANNEL_STAT(tx_messages, IVRING_STAT_TX_MESSAGES);
IVRING_CHANNEL_STAT(rx_messages, IVRING_STAT_RX_MESSAGES);
IVRING_CHANNEL_STAT(doorbells_sent, IVRING_STAT_DOORBELLS_SENT);
IVRING_CHANNEL_STAT(doorbells_suppressed, IVRING_STAT_DOORBELLS_SUPPRESSED);
IVRING_CHANNEL_STAT(stalls, IVRING_STAT_STALLS);
IVRING_CHANNEL_STAT(sleeps, IVRING_STAT_SLEEPS);
IVRING_CHANNEL_STAT(spins, IVRING_STAT_SPINS);
IVRING_CHANNEL_STAT(spins_paid, IVRING_STAT_SPINS_PAID);
IVRING_CHANNEL_STAT(rescued, IVRING_STAT_RESCUED);
IVRING_CHANNEL_STAT(conversations, IVRING_STAT_CONVERSATIONS);
IVRING_CHANNEL_STAT(broken, IVRING_STAT_BROKEN);

static ssize_t ivring_channel_interrupts_show(struct device *dev, struct device_attribute *attr,
					      char *buf)
{
	return sysfs_emit(buf, "%lld\n", atomic64_read(&to_channel(dev)->interrupts));
}

static struct device_attribute ivring_channel_stat_interrupts =
	__ATTR(interrupts, 0444, ivring_channel_interrupts_show, NULL);

static struct attribute *ivring_channel_stat_attrs[] = {
	&ivring_channel_stat_tx_bytes.attr,
	&ivring_channel_stat_rx_bytes.attr,
	&ivring_channel_stat_tx_messages.attr,
	&ivring_channel_stat_rx_messages.attr,
	&ivring_channel_stat_doorbells_sent.attr,
	&ivring_channel_stat_doorbells_suppressed.attr,
	&ivring_channel_stat_interrupts.attr,
	&ivring_channel_stat_stalls.attr,
	&ivring_channel_stat_sleeps.attr,
	&ivring_channel_stat_spins.attr,
	&ivring_channel_stat_spins_paid.attr,
	&ivring_channel_stat_rescued.attr,
	&ivring_channel_stat_conversations.attr,
	&ivring_channel_stat_broken.attr,
	NULL
};

static const struct attribute_group ivring_channel_stat_group = {
	.name = "stats",
	.is_visible = ivring_sysfs_mode,
	.attrs = ivring_channel_stat_attrs,
};

const struct attribute_group *ivring_channel_groups[] = {
	&ivring_channel_group,
	&ivring_channel_stat_group,
	NULL
};
