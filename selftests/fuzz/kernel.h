/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of a kernel as kmod-core/{link,conn,channel,copy}.c need, in user space and
 * in one thread. It takes the place of <ivring/shim.h>, too: before every read
 * of shared memory the peer has a turn.
 *
 * Sleeping gives the peer a turn, runs the work that was queued, and lets time
 * pass. Locks only check that they are taken and dropped in turn.
 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define _IVRING_SHIM_H
#define _IVRING_COMPAT_H

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
typedef unsigned int __poll_t;
typedef unsigned int gfp_t;

/* ---- what fuzz.c does for these ---- */

void fuzz_look(const volatile void *p);	/* somebody is about to read there */
bool fuzz_sleep(u64 ns);		/* true: woken before that long was over */
void fuzz_wake(void);
void fuzz_unwake(void);			/* who wakes only now need not be waited for */
u64 fuzz_now(void);
void fuzz_copy(const void *shared, size_t len, bool write);
size_t fuzz_present(size_t len);	/* of the memory to copy to or from */
void fuzz_fault(void);			/* the rest is being faulted in */
extern bool fuzz_signal;		/* a signal is pending */
extern u64 fuzz_random;

/* ---- compiler, arithmetic ---- */

#ifndef static_assert
#define static_assert			_Static_assert
#endif
#define likely(x)			__builtin_expect(!!(x), 1)
#define unlikely(x)			__builtin_expect(!!(x), 0)
#define __init
#define __exit
#define __must_check
#define __user
#define prefetch(p)			__builtin_prefetch(p)
#define prefetchw(p)			__builtin_prefetch(p, 1)
#define BUILD_BUG_ON(x)			_Static_assert(!(x), #x)
#define EXPORT_SYMBOL_GPL(x)
#define MODULE_PARM_DESC(x, s)
#define module_param(name, type, mode)

#define cpu_to_le32(x)			htole32(x)
#define cpu_to_le64(x)			htole64(x)
#define le32_to_cpu(x)			le32toh(x)
#define le64_to_cpu(x)			le64toh(x)

#define READ_ONCE(x) (*({				\
	const volatile __typeof__(x) *p_ = &(x);	\
	fuzz_look(p_);					\
	p_;						\
}))
#define WRITE_ONCE(x, v)		(*(volatile __typeof__(x) *)&(x) = (v))
#define virt_load_acquire(p)		READ_ONCE(*(p))
#define virt_store_release(p, v)	WRITE_ONCE(*(p), v)
#define virt_mb()			((void)0)
#define virt_wmb()			((void)0)
#define virt_rmb()			((void)0)
#define smp_mb()			((void)0)

#define xchg(p, v)			({ typeof(*(p)) old_ = *(p); *(p) = (v); old_; })
#define cmpxchg(p, old, new)		({				\
	typeof(*(p)) was_ = *(p);					\
	if (was_ == (old))						\
		*(p) = (new);						\
	was_;								\
})

#define min(a, b)			((a) < (b) ? (a) : (b))
#define max(a, b)			((a) > (b) ? (a) : (b))
#define min_t(t, a, b)			min((t)(a), (t)(b))
#define max_t(t, a, b)			max((t)(a), (t)(b))
#define clamp_t(t, v, lo, hi)		min_t(t, max_t(t, v, lo), hi)
#define container_of(p, type, field)	((type *)((char *)(p) - offsetof(type, field)))
#define min3(a, b, c)			min(min(a, b), c)
#define U32_MAX				UINT32_MAX
#define U64_MAX				UINT64_MAX
#define S64_MAX				INT64_MAX
#define PAGE_SIZE			4096UL
#define PAGE_SHIFT			12

static inline bool is_power_of_2(u64 n)
{
	return n && !(n & (n - 1));
}

static inline u64 rounddown_pow_of_two(u64 n)
{
	return 1ULL << (63 - __builtin_clzll(n));
}

static inline void *memchr_inv(const void *p, int c, size_t n)
{
	const u8 *b = p;

	for (; n; n--, b++)
		if (*b != (u8)c)
			return (void *)b;
	return NULL;
}

/* ---- tracing: to nobody ---- */

#define TP_PROTO(...)			__VA_ARGS__
#define TRACE_EVENT(name, proto, ...)	static inline void trace_##name(proto) { }
#define DECLARE_EVENT_CLASS(name, ...)
#define DEFINE_EVENT(class, name, proto, ...)	static inline void trace_##name(proto) { }

/* ---- memory, errors, lists ---- */

#define ERESTARTSYS			512
#define GFP_KERNEL			0
#define kmalloc(n, gfp)			malloc(n)
#define kzalloc(n, gfp)			calloc(1, n)
#define kcalloc(n, size, gfp)		calloc(n, size)
#define kfree(p)			free(p)
#define ERR_PTR(e)			((void *)(intptr_t)(e))
#define PTR_ERR(p)			((int)(intptr_t)(p))
#define IS_ERR(p)			((uintptr_t)(p) >= (uintptr_t)-4095)

struct list_head {
	struct list_head *next, *prev;
};

#define INIT_LIST_HEAD(h)		((h)->next = (h)->prev = (h))
#define list_empty(h)			((h)->next == (h))

static inline void list_add_tail(struct list_head *n, struct list_head *h)
{
	n->prev = h->prev;
	n->next = h;
	h->prev->next = n;
	h->prev = n;
}

static inline void list_del(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = NULL;
}

/* ---- locks, atomics, references ---- */

typedef struct {
	bool held;
} spinlock_t;

#define spin_lock_init(l)		((l)->held = false)
#define lockdep_assert_held(l)		assert((l)->held)

static inline void spin_lock(spinlock_t *l)
{
	assert(!l->held);
	l->held = true;
}

static inline void spin_unlock(spinlock_t *l)
{
	assert(l->held);
	l->held = false;
}

typedef struct {
	int counter;
} atomic_t;

#define atomic_inc_return(a)		(++(a)->counter)
#define atomic_set(a, i)		((void)((a)->counter = (i)))
#define atomic_read(a)			((a)->counter)
#define atomic_sub(i, a)		((void)((a)->counter -= (i)))
#define atomic_xchg(a, i)		({ int old_ = (a)->counter; (a)->counter = (i); old_; })

typedef struct {
	s64 counter;
} atomic64_t;

#define atomic64_inc_return(a)		(++(a)->counter)
#define atomic64_inc(a)			((void)(a)->counter++)
#define atomic64_read(a)		((a)->counter)

/* Page faults and open(2) take it, which are no part of this. */
struct rw_semaphore {
	int unused;
};

#define init_rwsem(s)			((s)->unused = 0)

struct percpu_ref {
	long count;
	bool dead;
	void (*release)(struct percpu_ref *ref);
};

#define PERCPU_REF_ALLOW_REINIT		1U

static inline int percpu_ref_init(struct percpu_ref *ref, void (*release)(struct percpu_ref *),
				  unsigned int flags, gfp_t gfp)
{
	ref->count = 1;
	ref->dead = false;
	ref->release = release;
	return 0;
}

static inline void percpu_ref_put(struct percpu_ref *ref)
{
	if (!--ref->count)
		ref->release(ref);
}

static inline bool percpu_ref_tryget_live(struct percpu_ref *ref)
{
	if (ref->dead)
		return false;
	ref->count++;
	return true;
}

static inline void percpu_ref_kill(struct percpu_ref *ref)
{
	ref->dead = true;
	percpu_ref_put(ref);
}

static inline void percpu_ref_reinit(struct percpu_ref *ref)
{
	assert(ref->dead && !ref->count);
	ref->count = 1;
	ref->dead = false;
}

#define percpu_ref_exit(ref)		((void)(ref))

struct completion {
	bool done;
};

#define init_completion(c)		((c)->done = false)
#define reinit_completion(c)		init_completion(c)
#define complete(c)			((c)->done = true)
#define wait_for_completion(c)		assert((c)->done)
#define wait_for_completion_timeout(c, jiffies)	((c)->done)

/* ---- time, sleeping, work ---- */

typedef s64 ktime_t;

#define NSEC_PER_MSEC			1000000L
#define KTIME_MAX			INT64_MAX
#define HRTIMER_MODE_REL		0
#define TASK_INTERRUPTIBLE		1
#define ktime_get_ns()			fuzz_now()
#define HZ				1000
#define jiffies				((unsigned long)(fuzz_now() / NSEC_PER_MSEC))
#define time_before_eq(a, b)		((long)((a) - (b)) <= 0)
#define nsecs_to_jiffies(ns)		((unsigned long)((ns) / NSEC_PER_MSEC))
#define msecs_to_jiffies(ms)		((unsigned long)(ms))
#define jiffies_to_msecs(jiffies_)	((unsigned int)(jiffies_))
#define signal_pending(task)		fuzz_signal
#define need_resched()			false
#define cpu_relax()			((void)0)
#define cond_resched()			((void)0)
#define num_online_cpus()		2U

typedef struct {
	int unused;
} wait_queue_head_t;

#define init_waitqueue_head(q)		((q)->unused = 0)
#define DEFINE_WAIT(w)			int w __attribute__((unused)) = 0
#define prepare_to_wait(q, w, state)	((void)(q), fuzz_unwake())
#define finish_wait(q, w)		((void)(q))
#define wake_up(q)			((void)(q), fuzz_wake())
#define wake_up_all(q)			((void)(q), fuzz_wake())

static inline int schedule_hrtimeout(ktime_t *timeout, int mode)
{
	return fuzz_sleep(timeout ? (u64)*timeout : U64_MAX) ? -EINTR : 0;
}

#define wait_event_interruptible(q, cond) ({				\
	int ret_ = 0;							\
									\
	while (!(cond) && !(ret_ = fuzz_signal ? -ERESTARTSYS : 0))	\
		fuzz_sleep(U64_MAX);					\
	ret_;								\
})

#define wait_event_interruptible_timeout(q, cond, jiffies) ({		\
	u64 end_ = fuzz_now() + (jiffies) * (u64)NSEC_PER_MSEC;		\
	long ret_ = 0;							\
									\
	for (;;) {							\
		if (cond) {						\
			ret_ = 1;					\
			break;						\
		}							\
		if (fuzz_signal) {					\
			ret_ = -ERESTARTSYS;				\
			break;						\
		}							\
		if (fuzz_now() >= end_)					\
			break;						\
		fuzz_sleep(end_ - fuzz_now());				\
	}								\
	ret_;								\
})

struct work_struct {
	void (*func)(struct work_struct *work);
	bool queued;
};

struct delayed_work {
	struct work_struct work;
};

#define INIT_WORK(w, f)			((w)->func = (f), (w)->queued = false)
#define INIT_DELAYED_WORK(w, f)		INIT_WORK(&(w)->work, f)
#define to_delayed_work(w)		container_of(w, struct delayed_work, work)
#define schedule_work(w)		((w)->queued = true)
#define schedule_delayed_work(w, d)	((void)(d), (w)->work.queued = true)
#define cancel_work_sync(w)		((w)->queued = false)
#define cancel_delayed_work_sync(w)	((w)->work.queued = false)

/* ---- files, devices ---- */

struct class {
	const char *name;
};

struct attribute_group {
	int unused;
};

struct file_operations {
	int unused;
};

struct file {
	int unused;
};

struct page {
	int unused;
};

struct device {
	const struct class *class;
	struct device *parent;
	const struct attribute_group **groups;
	void (*release)(struct device *dev);
	dev_t devt;
	int refs;
};

struct cdev {
	const void *owner;
};

struct ida {
	int unused;
};

#define DEFINE_IDA(x)			struct ida x __attribute__((unused))
#define ida_alloc_max(ida, max_, gfp)	0
#define ida_free(ida, n)		((void)(n))
#define device_initialize(d)		((d)->refs = 1)
#define dev_set_name(d, ...)		((void)(d), 0)
#define cdev_init(c, fops)		((void)(fops))
#define cdev_device_add(c, d)		0
#define cdev_device_del(c, d)		((void)(d))
#define dev_dbg(d, ...)			fuzz_log(d, __VA_ARGS__)
#define dev_warn(d, ...)			fuzz_log(d, __VA_ARGS__)
#define dev_err(d, ...)			fuzz_log(d, __VA_ARGS__)

struct ratelimit_state {
	int unused;
};

#define DEFAULT_RATELIMIT_INTERVAL	0
#define DEFAULT_RATELIMIT_BURST		0
#define ratelimit_state_init(rs, interval, burst)	((void)(rs))
#define __ratelimit(rs)			((void)(rs), true)

__attribute__((format(printf, 2, 3)))
static inline void fuzz_log(const struct device *dev, const char *fmt, ...)
{
}

/* Only declared to: page faults are no part of this. */
struct vm_area_struct;
typedef unsigned int vm_fault_t;

static inline struct device *get_device(struct device *d)
{
	d->refs++;
	return d;
}

static inline void put_device(struct device *d)
{
	assert(d->refs > 0);
	if (!--d->refs)
		d->release(d);
}

#define vunmap(p)			((void)(p))

#define EPOLLIN				0x001
#define EPOLLOUT			0x004
#define EPOLLERR			0x008
#define EPOLLHUP			0x010
#define EPOLLRDNORM			0x040
#define EPOLLWRNORM			0x100
#define EPOLLRDHUP			0x2000

struct iov_iter {
	u8 *data;
	size_t count;
};

#define iov_iter_count(i)		((i)->count)

#define user_backed_iter(i)		true
#define pagefault_disable()		((void)0)
#define pagefault_enable()		((void)0)
#define fault_in_iov_iter_writeable(i, n)	fault_in_iov_iter_readable(i, n)

static inline size_t fault_in_iov_iter_readable(const struct iov_iter *i, size_t n)
{
	assert(n && n <= i->count);
	fuzz_fault();
	return 0;
}

#define iov_iter_revert(i, n)		((void)((i)->count += (n)))

static inline size_t copy_from_iter(void *to, size_t n, struct iov_iter *i)
{
	n = fuzz_present(min(n, i->count));
	fuzz_copy(to, n, true);
	memcpy(to, i->data, n);
	i->data += n;
	i->count -= n;
	return n;
}

static inline size_t copy_to_iter(const void *from, size_t n, struct iov_iter *i)
{
	n = fuzz_present(min(n, i->count));
	fuzz_copy(from, n, false);
	memcpy(i->data, from, n);
	i->data += n;
	i->count -= n;
	return n;
}

static inline u64 get_random_u64(void)
{
	fuzz_random += 0x9e3779b97f4a7c15ULL;
	return fuzz_random ^ fuzz_random >> 29;
}

#endif /* FUZZ_KERNEL_H */
