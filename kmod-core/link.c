// SPDX-License-Identifier: GPL-2.0
/*
 * Links: registration, the peer's presence, doorbells.
 *
 * Each side publishes its presence in its own struct ivring_wire_side and reads
 * the peer's. Doorbells may be lost and the peer may stop at any instruction,
 * so nothing here waits for the peer: on every interrupt of vector 0, on every
 * open and once a second while files are open, ivring_link_evaluate() looks at
 * what is there and moves on, and ivring_channel_tick() sees to who waits for data.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "internal.h"
#include "trace.h"

/* A peer that misbehaves for ever may fill so many lines, of a kind, in so long a time. */
#define IVRING_COMPLAINTS_MAX		10
#define IVRING_COMPLAINTS_INTERVAL	(60 * HZ)

static DEFINE_IDA(ivring_link_ida);

/* ---- doorbells ---- */

/* Caller is inside ivring_link_enter(). */
void ivring_link_ring(struct ivring_link *link, u32 vector)
{
	trace_ivring_doorbell(link, vector);
	atomic64_inc(&link->stats[IVRING_STAT_LINK_DOORBELLS]);
	/*
	 * [P] pairs with the interrupt: what the doorbell announces is visible
	 * before it arrives. Not every transport's bell orders stores by itself.
	 */
	virt_wmb();
	link->params.ops->ring(link->params.priv, READ_ONCE(link->peer_id), vector);
}

/* Tell the peer that the handshake moved on. */
void ivring_link_announce(struct ivring_link *link)
{
	ivring_link_ring(link, 0);
}

/**
 * ivring_link_interrupt() - the peer rang
 * @link: the link
 * @vector: which doorbell; one that this side has not is nobody's
 *
 * Any context but NMI. The transport stops calling before it unregisters.
 *
 * Return: zero; or, where the peer rings and rings and nobody gets what it was to ring
 * for, how many jiffies the transport may leave this doorbell alone, which saves the cost
 * of being rung. It calls once more when it listens again. Who waits is looked after in
 * the next jiffy, and then once a second.
 */
unsigned int ivring_link_interrupt(struct ivring_link *link, u32 vector)
{
	u32 vectors = link->params.vectors;
	bool work = vector == 0;
	unsigned int storm;
	u32 c;

	trace_ivring_interrupt(link, vector);
	if (vector >= vectors)
		return 0;
	storm = ivring_storm_blows(link, vector);
	atomic64_inc(&link->stats[IVRING_STAT_LINK_INTERRUPTS]);
	if (storm)
		atomic64_inc(&link->stats[IVRING_STAT_LINK_LATE]);
	for (c = 0; c < link->geo.channels; c++) {
		struct ivring_channel *ch = link->channels[c];

		if (ivring_wire_vector(c, vectors) != vector)
			continue;
		ivring_channel_interrupt(ch, storm);
		/* Nobody sleeps for a closed channel whose last data is read now. */
		work |= READ_ONCE(ch->lingering);
	}
	if (work)
		schedule_delayed_work(&link->work, storm ? IVRING_WAKE_LATE : 0);
	return storm;
}
EXPORT_SYMBOL_GPL(ivring_link_interrupt);

/* ---- this side's presence ---- */

/* Take back whatever an earlier life left, so that the peer sees this side down. */
static void ivring_side_clear(struct ivring_link *link)
{
	u32 c;

	WRITE_ONCE(link->own->state, cpu_to_le32(IVRING_WIRE_SIDE_DOWN));
	WRITE_ONCE(link->own->epoch, 0);
	/* Pairs with the virt_rmb() in ivring_peer_read(). */
	virt_wmb();
	for (c = 0; c < link->geo.channels; c++) {
		struct ivring_channel *ch = link->channels[c];

		spin_lock(&ch->lock);
		ivring_conn_forget(ch);
		spin_unlock(&ch->lock);
	}
}

static void ivring_side_publish(struct ivring_link *link)
{
	struct ivring_wire_side *s = link->own;

	WRITE_ONCE(s->id, cpu_to_le32(link->params.id));
	WRITE_ONCE(s->vectors, cpu_to_le32(link->params.vectors));
	WRITE_ONCE(s->version, cpu_to_le32(IVRING_WIRE_VERSION));
	WRITE_ONCE(s->version_min, cpu_to_le32(IVRING_WIRE_VERSION_MIN));
	WRITE_ONCE(s->reserved0, 0);
	/* Whatever a mad peer of an earlier life wrote here. */
	memset(s->reserved1, 0, sizeof(s->reserved1));
	memset(s->reserved2, 0, sizeof(s->reserved2));
	WRITE_ONCE(s->features, 0);
	WRITE_ONCE(s->heartbeat, cpu_to_le64(link->heartbeat));
	WRITE_ONCE(s->state, cpu_to_le32(IVRING_WIRE_SIDE_READY));
	/* Pairs with the acquire in ivring_peer_read(). */
	virt_store_release(&s->epoch, cpu_to_le64(link->epoch));
	/*
	 * Both sides publish, then look: full barrier, so that one of them sees
	 * the other. Pairs with the same line on the other side.
	 */
	virt_mb();
}

static bool ivring_side_is_published(const struct ivring_link *link)
{
	const struct ivring_wire_side *s = link->own;

	return le64_to_cpu(READ_ONCE(s->epoch)) == link->epoch &&
	       le32_to_cpu(READ_ONCE(s->state)) == IVRING_WIRE_SIDE_READY &&
	       le32_to_cpu(READ_ONCE(s->id)) == link->params.id &&
	       le32_to_cpu(READ_ONCE(s->vectors)) == link->params.vectors &&
	       le32_to_cpu(READ_ONCE(s->version)) == IVRING_WIRE_VERSION &&
	       le32_to_cpu(READ_ONCE(s->version_min)) == IVRING_WIRE_VERSION_MIN &&
	       !READ_ONCE(s->features) && !READ_ONCE(s->reserved0) &&
	       !memchr_inv(s->reserved1, 0, sizeof(s->reserved1));
}

/* Between two guests the server does so for one whose QEMU it takes for gone. */
static bool ivring_side_is_buried(const struct ivring_link *link)
{
	return link->geo.guests && !READ_ONCE(link->own->epoch) &&
	       le32_to_cpu(READ_ONCE(link->own->state)) == IVRING_WIRE_SIDE_DOWN;
}

/*
 * The peer can write this side's half as well, and one that did so sees nobody any
 * more. Caller holds link->lock. True when the peer should look again. Only the
 * first time is a line in the log: the peer may go on like that.
 */
static bool __ivring_side_restore(struct ivring_link *link)
{
	lockdep_assert_held(&link->lock);
	if (!link->published || ivring_side_is_published(link) || ivring_side_is_buried(link))
		return false;
	if (atomic64_inc_return(&link->stats[IVRING_STAT_LINK_RESTORED]) == 1)
		dev_warn(&link->dev,
			 "the peer wrote over this side's presence; restored, as it will be each time: see stats/restored\n");
	ivring_side_publish(link);
	return true;
}

/* ---- the peer's presence ---- */

/* Copy the peer's fields out, all of the same life: retry while it restarts. */
static void ivring_peer_read(const struct ivring_wire_side *s, struct ivring_wire_peer *p)
{
	int tries = 3;

	do {
		/* Pairs with the release in ivring_side_publish(). */
		p->epoch = le64_to_cpu(virt_load_acquire(&s->epoch));
		p->state = le32_to_cpu(READ_ONCE(s->state));
		p->id = le32_to_cpu(READ_ONCE(s->id));
		p->vectors = le32_to_cpu(READ_ONCE(s->vectors));
		p->version = le32_to_cpu(READ_ONCE(s->version));
		p->version_min = le32_to_cpu(READ_ONCE(s->version_min));
		p->features = le64_to_cpu(READ_ONCE(s->features));
		p->reserved_ok = !READ_ONCE(s->reserved0) &&
				 !memchr_inv(s->reserved1, 0, sizeof(s->reserved1));
		p->heartbeat = le64_to_cpu(READ_ONCE(s->heartbeat));
		/* Pairs with the virt_wmb() in ivring_side_clear(). */
		virt_rmb();
	} while (le64_to_cpu(READ_ONCE(s->epoch)) != p->epoch && --tries);
	if (!tries)
		p->epoch = 0;
}

static bool ivring_peer_sane(const struct ivring_link *link, const struct ivring_wire_peer *p)
{
	return ivring_wire_peer_ok(p, link->params.id, link->peer_bells);
}

static u32 ivring_peer_judge(const struct ivring_link *link, const struct ivring_wire_peer *p)
{
	if (link->dead)
		return IVRING_LINK_DEAD;
	if (link->split)
		return IVRING_LINK_SPLIT;
	if (!link->started || !link->peer_present)
		return IVRING_LINK_WAITING;
	if (p->state != IVRING_WIRE_SIDE_READY || !p->epoch || p->epoch == link->gone_epoch)
		return IVRING_LINK_WAITING;
	if (!ivring_peer_sane(link, p) || p->version_min > IVRING_WIRE_VERSION ||
	    p->version < IVRING_WIRE_VERSION_MIN)
		return IVRING_LINK_MISMATCH;
	if (link->stalled)
		return IVRING_LINK_STALLED;
	return IVRING_LINK_UP;
}

/* A heartbeat is only owed while both sides have a channel open. */
static bool ivring_peer_owes_heartbeat(struct ivring_link *link)
{
	u32 c;

	for (c = 0; c < link->geo.channels; c++)
		if (READ_ONCE(link->channels[c]->state) == IVRING_CHANNEL_CONNECTED ||
		    READ_ONCE(link->channels[c]->lingering))
			return true;
	return false;
}

static void ivring_peer_check_heartbeat(struct ivring_link *link, const struct ivring_wire_peer *p)
{
	u64 now = ktime_get_ns();
	u64 timeout = link->peer_timeout_ms * (u64)NSEC_PER_MSEC;

	if (p->heartbeat != link->peer_heartbeat || p->epoch != link->peer_epoch) {
		link->peer_heartbeat = p->heartbeat;
		link->peer_heartbeat_ns = now;
		link->stalled = false;
	} else if (!ivring_peer_owes_heartbeat(link)) {
		link->peer_heartbeat_ns = now;
	} else if (timeout && now - link->peer_heartbeat_ns > timeout) {
		link->stalled = true;
	}
}

static void ivring_link_log_state(struct ivring_link *link, const struct ivring_wire_peer *p,
				  u32 old)
{
	bool often = link->state == IVRING_LINK_MISMATCH || link->state == IVRING_LINK_STALLED;

	if (often && !__ratelimit(&link->complaints))
		return;
	switch (link->state) {
	case IVRING_LINK_MISMATCH:
		if (!ivring_peer_sane(link, p)) {
			dev_err(&link->dev,
				"peer refused: it listens to %u vectors of 1..%u, its ID is %u, ours %u; does the device have as many vectors as the server?\n",
				p->vectors, link->peer_bells ?: IVRING_WIRE_VECTORS_MAX,
				p->id, link->params.id);
			break;
		}
		dev_err(&link->dev,
			"peer speaks protocol %u..%u, this side %u..%u: install matching releases of ivring on both sides\n",
			p->version_min, p->version, IVRING_WIRE_VERSION_MIN,
			IVRING_WIRE_VERSION);
		break;
	case IVRING_LINK_SPLIT:
		dev_err(&link->dev,
			"the memory is not shared with the peer any more, somebody punched a hole into it: restart the link server and the VM\n");
		break;
	case IVRING_LINK_STALLED:
		dev_warn(&link->dev, "peer's heartbeat stopped for %u ms\n",
			 link->peer_timeout_ms);
		break;
	default:
		dev_dbg(&link->dev, "%s -> %s\n", ivring_link_state_name(old),
			ivring_link_state_name(link->state));
	}
}

static void ivring_link_reset_channels(struct ivring_link *link)
{
	int error = link->state == IVRING_LINK_STALLED ? -ETIMEDOUT :
		    link->state == IVRING_LINK_SPLIT ? -EIO : -ECONNRESET;
	u32 c;

	for (c = 0; c < link->geo.channels; c++) {
		struct ivring_channel *ch = link->channels[c];

		spin_lock(&ch->lock);
		ivring_conn_reset(ch, error);
		spin_unlock(&ch->lock);
	}
}

/* Whatever someone waits for, the link's state may have decided it. */
static void ivring_link_wake_all(struct ivring_link *link)
{
	u32 c;

	for (c = 0; c < link->geo.channels; c++)
		ivring_channel_wake_all(link->channels[c]);
	wake_up_all(&link->wait);
}

/* Caller holds link->lock. True when something changed that the peer should see. */
static bool __ivring_link_evaluate(struct ivring_link *link)
{
	struct ivring_wire_peer p;
	u64 old_epoch = link->peer_epoch;
	u32 old = link->state;

	lockdep_assert_held(&link->lock);
	ivring_peer_read(link->peer, &p);
	ivring_peer_check_heartbeat(link, &p);
	WRITE_ONCE(link->state, ivring_peer_judge(link, &p));
	if (link->state == old && p.epoch == old_epoch)
		return false;

	WRITE_ONCE(link->peer_epoch, link->state == IVRING_LINK_WAITING ? 0 : p.epoch);
	if (link->state == old && link->peer_epoch == old_epoch)
		return false;
	if (link->state == IVRING_LINK_UP) {
		WRITE_ONCE(link->peer_id, p.id);
		WRITE_ONCE(link->peer_vectors, p.vectors);
		link->wire_version = min_t(u32, p.version, IVRING_WIRE_VERSION);
		atomic64_inc(&link->stats[IVRING_STAT_LINK_UPS]);
	} else {
		WRITE_ONCE(link->peer_vectors, 0);
		link->wire_version = 0;
	}
	if (old == IVRING_LINK_UP) {
		atomic64_inc(&link->stats[IVRING_STAT_LINK_DOWNS]);
		ivring_link_reset_channels(link);
	}
	trace_ivring_link_state(link, old);
	ivring_link_log_state(link, &p, old);
	ivring_link_wake_all(link);
	return link->state == IVRING_LINK_UP;
}

/**
 * ivring_link_evaluate() - look at the peer and act on what changed
 * @link: the caller is inside ivring_link_enter()
 */
void ivring_link_evaluate(struct ivring_link *link)
{
	bool announce;
	u32 c;

	spin_lock(&link->lock);
	announce = __ivring_side_restore(link);
	announce |= __ivring_link_evaluate(link);
	for (c = 0; c < link->geo.channels; c++) {
		struct ivring_channel *ch = link->channels[c];

		spin_lock(&ch->lock);
		announce |= ivring_conn_evaluate(ch);
		spin_unlock(&ch->lock);
	}
	spin_unlock(&link->lock);
	if (announce)
		ivring_link_announce(link);
}

static void ivring_link_work(struct work_struct *work)
{
	struct ivring_link *link = container_of(to_delayed_work(work), struct ivring_link, work);

	if (!ivring_link_enter(link))
		return;
	ivring_link_evaluate(link);
	ivring_link_leave(link);
}

static void ivring_link_schedule_tick(struct ivring_link *link, u64 ns)
{
	schedule_delayed_work(&link->tick, nsecs_to_jiffies(ns));
}

static void ivring_link_tick(struct work_struct *work)
{
	struct ivring_link *link = container_of(to_delayed_work(work), struct ivring_link, tick);
	const struct ivring_transport_ops *ops = link->params.ops;
	bool splits, soon = false;
	u32 c;

	if (!ivring_link_enter(link))
		return;
	splits = !link->split && ops->intact && !ops->intact(link->params.priv);
	spin_lock(&link->lock);
	link->split |= splits;
	WRITE_ONCE(link->own->heartbeat, cpu_to_le64(++link->heartbeat));
	spin_unlock(&link->lock);
	ivring_link_evaluate(link);
	/* The peer may still see as much. */
	if (splits)
		ivring_link_shutdown(link);
	for (c = 0; c < link->geo.channels; c++)
		soon |= ivring_channel_tick(link->channels[c]);
	if (READ_ONCE(link->open_files) || ivring_peer_owes_heartbeat(link))
		ivring_link_schedule_tick(link, soon ? IVRING_RESCUE_GRACE_NS : IVRING_TICK_NS);
	ivring_link_leave(link);
}

void ivring_link_file_opened(struct ivring_link *link)
{
	spin_lock(&link->lock);
	WRITE_ONCE(link->open_files, link->open_files + 1);
	spin_unlock(&link->lock);
	ivring_link_schedule_tick(link, IVRING_TICK_NS);
}

void ivring_link_file_closed(struct ivring_link *link)
{
	spin_lock(&link->lock);
	WRITE_ONCE(link->open_files, link->open_files - 1);
	spin_unlock(&link->lock);
}

/**
 * ivring_link_peer_join() - the transport sees a peer
 * @link: registered with peer_known
 * @bells: how many vectors of the peer's the transport can ring
 */
void ivring_link_peer_join(struct ivring_link *link, u32 bells)
{
	dev_dbg(&link->dev, "a peer with %u doorbells\n", bells);
	spin_lock(&link->lock);
	link->peer_present = true;
	link->peer_bells = bells;
	spin_unlock(&link->lock);
	schedule_delayed_work(&link->work, 0);
}
EXPORT_SYMBOL_GPL(ivring_link_peer_join);

/**
 * ivring_link_peer_leave() - the peer's end of the transport is gone
 * @link: registered with peer_known
 *
 * Whatever the peer left in its half of the region is stale from here on.
 */
void ivring_link_peer_leave(struct ivring_link *link)
{
	if (!ivring_link_enter(link))
		return;
	dev_dbg(&link->dev, "the peer is gone\n");
	spin_lock(&link->lock);
	link->peer_present = false;
	link->gone_epoch = le64_to_cpu(READ_ONCE(link->peer->epoch));
	spin_unlock(&link->lock);
	ivring_link_evaluate(link);
	ivring_link_leave(link);
}
EXPORT_SYMBOL_GPL(ivring_link_peer_leave);

u32 ivring_link_number(const struct ivring_link *link)
{
	return link->number;
}
EXPORT_SYMBOL_GPL(ivring_link_number);

static void ivring_link_new_epoch(struct ivring_link *link)
{
	do {
		link->epoch = get_random_u64();
	} while (!link->epoch);
}

void ivring_link_get_info(struct ivring_link *link, struct ivring_link_info *info)
{
	memset(info, 0, sizeof(*info));
	info->abi_version = IVRING_ABI_VERSION;
	info->link = link->number;
	info->region_size = link->geo.region_size;
	info->ring_size = link->geo.ring_size;
	info->channels = link->geo.channels;
	info->vectors = link->params.vectors;
	info->memory_type = link->memory_type;
	memcpy(info->label, link->geo.label, sizeof(info->label));
	spin_lock(&link->lock);
	info->epoch = link->epoch;
	info->side = link->params.side;
	info->id = link->params.id;
	info->peer_epoch = link->peer_epoch;
	info->peer_id = link->peer_id;
	info->peer_vectors = link->peer_vectors;
	info->state = link->state;
	info->wire_version = link->wire_version;
	spin_unlock(&link->lock);
}

/**
 * ivring_link_start() - begin a life
 * @link: registered; the transport's interrupts work by now
 *
 * Interrupts come first, presence second: a peer that sees this side may ring
 * at once.
 */
void ivring_link_start(struct ivring_link *link)
{
	spin_lock(&link->lock);
	ivring_side_publish(link);
	link->published = true;
	link->started = true;
	spin_unlock(&link->lock);
	if (!ivring_link_enter(link))
		return;
	ivring_link_evaluate(link);
	ivring_link_leave(link);
}
EXPORT_SYMBOL_GPL(ivring_link_start);

/**
 * ivring_link_shutdown() - tell the peer that this side goes down
 * @link: registered
 *
 * For a machine that powers off or reboots: nothing is freed, nobody waited for.
 */
void ivring_link_shutdown(struct ivring_link *link)
{
	/* It was told, and the memory may be away. */
	if (link->suspended)
		return;
	spin_lock(&link->lock);
	link->published = false;
	ivring_side_clear(link);
	spin_unlock(&link->lock);
	ivring_link_announce(link);
}
EXPORT_SYMBOL_GPL(ivring_link_shutdown);

/* ---- registration ---- */

static void ivring_link_users_gone(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct ivring_link, users)->users_gone);
}

static void ivring_link_free(struct device *dev)
{
	struct ivring_link *link = container_of(dev, struct ivring_link, dev);

	percpu_ref_exit(&link->users);
	kfree(link->storms);
	kfree(link->channels);
	ida_free(&ivring_link_ida, link->number);
	kfree(link);
}

static void ivring_channel_free(struct device *dev)
{
	struct ivring_channel *ch = container_of(dev, struct ivring_channel, dev);

	put_device(&ch->link->dev);
	kfree(ch);
}

/* The superblock is read once, into private memory, and judged there. */
static int ivring_link_read_geometry(const struct ivring_link_params *params,
				     struct ivring_wire_geometry *geo)
{
	struct ivring_wire_superblock *sb;
	void *page;
	int ret;

	sb = kmalloc(sizeof(*sb), GFP_KERNEL);
	if (!sb)
		return -ENOMEM;
	page = ivring_memory_vmap(params, 0, 1, 1);
	if (!page) {
		kfree(sb);
		return -ENOMEM;
	}
	memcpy(sb, page, sizeof(*sb));
	vunmap(page);
	ret = ivring_wire_check(sb, params->size, geo);
	if (!ret && ivring_wire_used(geo) > params->avail)
		ret = -ENOTUNIQ;
	kfree(sb);
	return ret;
}

static void ivring_link_init(struct ivring_link *link, const struct ivring_link_params *params,
			     const struct ivring_wire_geometry *geo)
{
	link->params = *params;
	link->geo = *geo;
	ivring_link_new_epoch(link);
	link->peer_timeout_ms = IVRING_PEER_TIMEOUT_MS;
	link->peer_present = !params->peer_known;
	init_completion(&link->users_gone);
	spin_lock_init(&link->lock);
	init_waitqueue_head(&link->wait);
	ratelimit_state_init(&link->complaints, IVRING_COMPLAINTS_INTERVAL, IVRING_COMPLAINTS_MAX);
	ratelimit_state_init(&link->breaches, IVRING_COMPLAINTS_INTERVAL, IVRING_COMPLAINTS_MAX);
	INIT_DELAYED_WORK(&link->work, ivring_link_work);
	INIT_DELAYED_WORK(&link->tick, ivring_link_tick);

	device_initialize(&link->dev);
	link->dev.class = &ivring_class;
	link->dev.parent = params->parent;
	link->dev.groups = ivring_link_groups;
	link->dev.release = ivring_link_free;
	link->dev.devt = ivring_devt + link->number * IVRING_MINORS_PER_LINK;
	cdev_init(&link->cdev, &ivring_link_fops);
	link->cdev.owner = params->ops->owner;
}

static struct ivring_link *ivring_link_alloc(const struct ivring_link_params *params,
					     const struct ivring_wire_geometry *geo)
{
	struct ivring_link *link;
	int ret = -ENOMEM;

	link = kzalloc(sizeof(*link), GFP_KERNEL);
	if (!link)
		return ERR_PTR(-ENOMEM);
	link->channels = kcalloc(geo->channels, sizeof(*link->channels), GFP_KERNEL);
	link->storms = kcalloc(params->vectors, sizeof(*link->storms), GFP_KERNEL);
	if (!link->channels || !link->storms)
		goto err_free;
	ret = percpu_ref_init(&link->users, ivring_link_users_gone, PERCPU_REF_ALLOW_REINIT,
			      GFP_KERNEL);
	if (ret)
		goto err_free;
	ret = ida_alloc_max(&ivring_link_ida, IVRING_LINKS_MAX - 1, GFP_KERNEL);
	if (ret < 0)
		goto err_exit_ref;

	link->number = ret;
	ivring_link_init(link, params, geo);
	ret = dev_set_name(&link->dev, "ivring%u", link->number);
	if (ret) {
		put_device(&link->dev);
		return ERR_PTR(ret);
	}
	return link;

err_exit_ref:
	percpu_ref_exit(&link->users);
err_free:
	kfree(link->storms);
	kfree(link->channels);
	kfree(link);
	return ERR_PTR(ret);
}

static int ivring_channel_alloc(struct ivring_link *link, u32 index)
{
	struct ivring_channel *ch = kzalloc(sizeof(*ch), GFP_KERNEL);

	if (!ch)
		return -ENOMEM;
	link->channels[index] = ch;
	ch->link = link;
	ch->index = index;
	ch->storm = &link->storms[ivring_wire_vector(index, link->params.vectors)];
	ch->tx.size = link->geo.ring_size;
	ch->rx.size = link->geo.ring_size;
	ch->tx.window = ivring_tune_window(link->geo.ring_size);
	ch->spin_max_ns = U32_MAX;
	init_rwsem(&ch->mapping);
	init_waitqueue_head(&ch->copied);
	spin_lock_init(&ch->lock);
	INIT_LIST_HEAD(&ch->files);
	init_waitqueue_head(&ch->wait);
	init_waitqueue_head(&ch->tx_dir.busy_wait);
	init_waitqueue_head(&ch->rx_dir.busy_wait);
	INIT_DELAYED_WORK(&ch->late_wake, ivring_channel_late_wake);

	device_initialize(&ch->dev);
	get_device(&link->dev);
	ch->dev.class = &ivring_class;
	ch->dev.parent = &link->dev;
	ch->dev.groups = ivring_channel_groups;
	ch->dev.release = ivring_channel_free;
	ch->dev.devt = link->dev.devt + 1 + index;
	cdev_init(&ch->cdev, &ivring_channel_fops);
	ch->cdev.owner = link->params.ops->owner;
	return dev_set_name(&ch->dev, "ivring%uc%u", link->number, index);
}

static void ivring_link_put(struct ivring_link *link)
{
	u32 c;

	for (c = 0; c < link->geo.channels; c++)
		if (link->channels[c])
			put_device(&link->channels[c]->dev);
	put_device(&link->dev);
}

/* Adds what it can; @nodes tells how much, also after a failure. */
static int ivring_link_add_nodes(struct ivring_link *link)
{
	int ret;
	u32 c;

	ret = cdev_device_add(&link->cdev, &link->dev);
	for (c = 0; !ret && c < link->geo.channels; c++) {
		link->nodes++;
		ret = cdev_device_add(&link->channels[c]->cdev, &link->channels[c]->dev);
	}
	link->nodes += !ret;
	return ret;
}

static void ivring_link_del_nodes(struct ivring_link *link)
{
	for (; link->nodes > 1; link->nodes--) {
		struct ivring_channel *ch = link->channels[link->nodes - 2];

		cdev_device_del(&ch->cdev, &ch->dev);
	}
	if (link->nodes)
		cdev_device_del(&link->cdev, &link->dev);
	link->nodes = 0;
}

static void ivring_link_die(struct ivring_link *link)
{
	u32 old;

	spin_lock(&link->lock);
	old = link->state;
	WRITE_ONCE(link->dead, true);
	WRITE_ONCE(link->state, IVRING_LINK_DEAD);
	trace_ivring_link_state(link, old);
	spin_unlock(&link->lock);
}

static void ivring_dir_tell_culprit(const struct ivring_channel *ch, const struct ivring_dir *dir)
{
	pid_t pid = READ_ONCE(dir->file_pid);

	if (pid)
		dev_warn(&ch->dev,
			 "the link's end waits for process %d, which waits for a file in %s_FILE\n",
			 pid, dir == &ch->tx_dir ? "SEND" : "RECV");
}

/* Nobody enters any more, and who is inside leaves; he was told why before. */
static void ivring_link_expel(struct ivring_link *link)
{
	u32 c;

	percpu_ref_kill(&link->users);
	ivring_link_wake_all(link);
	if (wait_for_completion_timeout(&link->users_gone, msecs_to_jiffies(IVRING_PATIENCE_MS)))
		return;
	for (c = 0; c < link->geo.channels; c++) {
		ivring_dir_tell_culprit(link->channels[c], &link->channels[c]->tx_dir);
		ivring_dir_tell_culprit(link->channels[c], &link->channels[c]->rx_dir);
	}
	wait_for_completion(&link->users_gone);
}

/*
 * Nodes may be open from the moment they exist. Those who may be inside: system
 * calls (also asleep, also in the middle of a copy), page faults of user
 * mappings, the work and the tick. All enter by ivring_link_enter(), which fails
 * from here on; sleepers wake with ENODEV. Nobody inside waits for user memory, see
 * copy.c; but SEND_FILE may wait for a disk, see file.c, and then this does, too.
 */
static void ivring_link_shut(struct ivring_link *link)
{
	u32 c;

	ivring_link_die(link);
	ivring_link_shutdown(link);

	if (link->suspended)
		ivring_link_wake_all(link);
	else
		ivring_link_expel(link);
	cancel_delayed_work_sync(&link->work);
	cancel_delayed_work_sync(&link->tick);
	for (c = 0; c < link->geo.channels; c++)
		cancel_delayed_work_sync(&link->channels[c]->late_wake);

	ivring_link_del_nodes(link);
	for (c = 0; c < link->geo.channels; c++)
		ivring_channel_zap(link->channels[c]);
	ivring_memory_unmap(link);
}

/**
 * ivring_link_register() - make shared memory a link
 * @params: copied; see there for what must outlive the link
 *
 * The device nodes exist when this returns, but the peer does not see this
 * side before ivring_link_start(). May sleep.
 *
 * Return: the link, or an ERR_PTR(): what ivring_wire_check() says of the
 * region, -ENOSPC when no number is free, -ENOMEM.
 */
struct ivring_link *ivring_link_register(const struct ivring_link_params *params)
{
	struct ivring_wire_geometry geo;
	struct ivring_link *link;
	int ret;
	u32 c;

	/* Rings are mapped page by page. */
	BUILD_BUG_ON(PAGE_SIZE > IVRING_WIRE_ALIGN);

	ret = ivring_link_read_geometry(params, &geo);
	if (ret)
		return ERR_PTR(ret);
	link = ivring_link_alloc(params, &geo);
	if (IS_ERR(link))
		return link;
	for (c = 0; c < geo.channels; c++) {
		ret = ivring_channel_alloc(link, c);
		if (ret)
			goto err_put;
	}
	ret = ivring_memory_map(link);
	if (ret)
		goto err_put;
	ivring_side_clear(link);
	ivring_memory_probe(link);
	ret = ivring_link_add_nodes(link);
	if (ret)
		goto err_shut;
	dev_dbg(&link->dev, "%s, side %u, ID %u, %llu bytes, %u channels, %u vectors, %u MB/s\n",
		link->params.ops->name, link->params.side, link->params.id, geo.region_size,
		geo.channels, link->params.vectors, link->memory_mbps);
	return link;

err_shut:
	ivring_link_shut(link);
err_put:
	ivring_link_put(link);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(ivring_link_register);

/**
 * ivring_link_unregister() - end a link
 * @link: what ivring_link_register() gave; interrupts have stopped
 *
 * Open files live on without the link and can only be closed. When this
 * returns nothing touches the region or calls the transport any more.
 *
 * May sleep.
 */
void ivring_link_unregister(struct ivring_link *link)
{
	dev_dbg(&link->dev, "ends\n");
	ivring_link_shut(link);
	ivring_link_put(link);
}
EXPORT_SYMBOL_GPL(ivring_link_unregister);

/* ---- suspend and resume ---- */

/**
 * ivring_link_suspend() - end this life, as the device is about to sleep
 * @link: registered
 *
 * The peer learns of it at once. Files that are open can only be closed from here
 * on: their conversations are over, their mappings gone. The nodes stay; open(2)
 * waits for ivring_link_resume(). When this returns nothing touches the region or
 * calls the transport. Interrupts may still come.
 *
 * The caller sees to it that this, ivring_link_resume(), ivring_link_shutdown() and
 * ivring_link_unregister() come one after the other. May sleep, for as long as
 * ivring_link_unregister().
 */
void ivring_link_suspend(struct ivring_link *link)
{
	u32 c;

	if (link->suspended)
		return;
	dev_dbg(&link->dev, "suspends\n");
	spin_lock(&link->lock);
	link->started = false;
	__ivring_link_evaluate(link);
	spin_unlock(&link->lock);
	ivring_link_shutdown(link);

	WRITE_ONCE(link->suspended, true);
	ivring_link_expel(link);
	for (c = 0; c < link->geo.channels; c++) {
		struct ivring_channel *ch = link->channels[c];

		ivring_channel_zap(ch);
		spin_lock(&ch->lock);
		ivring_conn_drop(ch);
		spin_unlock(&ch->lock);
	}
}
EXPORT_SYMBOL_GPL(ivring_link_suspend);

/* Is the region, which was out of sight, what it was? */
static int ivring_link_check_again(const struct ivring_link *link)
{
	const struct ivring_wire_geometry *old = &link->geo;
	struct ivring_wire_geometry new;
	int ret;

	ret = ivring_link_read_geometry(&link->params, &new);
	if (ret)
		return ret;
	if (new.region_size != old->region_size || new.side_offset != old->side_offset ||
	    new.channel_offset != old->channel_offset || new.data_offset != old->data_offset ||
	    new.ring_size != old->ring_size || new.channels != old->channels ||
	    new.guests != old->guests || strncmp(new.label, old->label, sizeof(new.label)))
		return -ESTALE;
	return 0;
}

/* Between guests the ID says which side this is. */
static int ivring_link_change_side(struct ivring_link *link, u32 side)
{
	if (side == link->params.side)
		return 0;
	ivring_memory_unmap(link);
	link->params.side = side;
	return ivring_memory_map(link);
}

/**
 * ivring_link_abandon() - what was suspended does not come back
 * @link: suspended; can only be unregistered from here on
 */
void ivring_link_abandon(struct ivring_link *link)
{
	ivring_link_die(link);
	ivring_link_wake_all(link);
}
EXPORT_SYMBOL_GPL(ivring_link_abandon);

/**
 * ivring_link_resume() - begin a new life after ivring_link_suspend()
 * @link: suspended; the transport's interrupts work again
 * @id: own ivshmem ID, which may be another one than before
 * @side: likewise
 *
 * Return: 0; an errno as of ivring_link_register(), or -ESTALE: the region is not
 * the one it was. Then the link is dead, and can only be unregistered.
 */
int ivring_link_resume(struct ivring_link *link, u32 id, u32 side)
{
	int ret;

	if (link->dead)
		return -ENODEV;
	ret = ivring_link_check_again(link);
	if (!ret)
		ret = ivring_link_change_side(link, side);
	if (ret) {
		ivring_link_abandon(link);
		return ret;
	}
	spin_lock(&link->lock);
	link->params.id = id;
	ivring_link_new_epoch(link);
	spin_unlock(&link->lock);
	ivring_side_clear(link);

	dev_dbg(&link->dev, "resumes with ID %u, as side %u\n", id, side);
	WRITE_ONCE(link->suspended, false);
	reinit_completion(&link->users_gone);
	percpu_ref_reinit(&link->users);
	ivring_link_start(link);
	/* Who waits in open(2); and whatever the peer rang for meanwhile. */
	ivring_link_wake_all(link);
	if (READ_ONCE(link->open_files))
		ivring_link_schedule_tick(link, IVRING_TICK_NS);
	return 0;
}
EXPORT_SYMBOL_GPL(ivring_link_resume);
