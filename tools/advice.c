// SPDX-License-Identifier: GPL-2.0
/* What the machine and its links say of themselves; advice-host.c has what is about QEMU. */
#include "advice.h"

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ivring/spin.h>

#include "libivring.h"
#include "util.h"

#define CLASS		"sys/class/ivring"
#define CLOCK		"sys/devices/system/clocksource/clocksource0/current_clocksource"
#define GOVERNOR	"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
#define SPIN_PARAM	"sys/module/ivring/parameters/spin_max_ns"

/* Spins that a channel must have made before their use is judged. */
#define SPINS_MANY	10000

struct advice *advice_add(struct advices *a, const char *id, bool urgent, const char *subject,
			  const char *why)
{
	static struct advice nowhere;
	struct advice *bigger = realloc(a->list, (a->count + 1) * sizeof(*bigger));

	if (!bigger) {
		a->incomplete = true;
		return &nowhere;
	}
	a->list = bigger;
	a->list[a->count] = (struct advice) { .id = id, .urgent = urgent, .why = why };
	snprintf(a->list[a->count].subject, sizeof(a->list->subject), "%s", subject);
	return &a->list[a->count++];
}

void advice_what(struct advice *one, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(one->what, sizeof(one->what), fmt, ap);
	va_end(ap);
}

void advice_command(struct advice *one, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(one->command, sizeof(one->command), fmt, ap);
	va_end(ap);
}

void advice_free(struct advices *a)
{
	free(a->list);
	memset(a, 0, sizeof(*a));
}

/* ---- the machine ---- */

static void look_at_cpus(struct advices *a, const struct machine *m, const char *root)
{
	struct advice *one;
	uint64_t spin;

	if (m->cpus == 1) {
		one = advice_add(a, "one-cpu", true, "", "with one CPU nobody spins: each time that "
				 "one side waits for the other costs a sleep and an interrupt");
		advice_what(one, "this machine has one CPU");
		if (strcmp(m->hypervisor, "none"))
			advice_command(one, "qemu-system-x86_64 -smp 2 ...");
	} else if (machine_number(root, &spin, SPIN_PARAM) && !spin) {
		one = advice_add(a, "spin-off", true, "", "each time that one side waits for the "
				 "other costs a sleep and an interrupt");
		advice_what(one, "the parameter spin_max_ns of ivring is 0: nobody spins");
		advice_command(one, "echo %u >/" SPIN_PARAM, IVRING_SPIN_MAX_NS);
	}
}

static void look_at_clocks(struct advices *a, const char *root)
{
	struct advice *one;
	char text[64];

	if (machine_text(root, text, sizeof(text), CLOCK) && strcmp(text, "tsc") &&
	    !strstr(text, "kvm-clock") && !strstr(text, "hyperv")) {
		one = advice_add(a, "clock", true, "", "who spins reads the clock, and a slow one "
				 "means an exit to the hypervisor, or a microsecond, each time");
		advice_what(one, "the clock source is %s", text);
		advice_command(one, "cat /sys/devices/system/clocksource/clocksource0/"
			       "available_clocksource; echo tsc >/" CLOCK);
	}
	if (machine_text(root, text, sizeof(text), GOVERNOR) && strcmp(text, "performance")) {
		one = advice_add(a, "governor", false, "", "CPUs that slow down between two "
				 "messages take longer for each, and measurements vary");
		advice_what(one, "the CPU frequency governor is %s", text);
		advice_command(one, "cpupower frequency-set -g performance");
	}
}

/* ---- a link ---- */

static void look_at_memory(struct advices *a, const char *root, const char *name)
{
	static const char * const files[] = { "memory_type", "user_memory_type" };
	static const char * const who[] = { "the kernel maps", "programs have" };
	struct advice *one;
	char text[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		if (!machine_text(root, text, sizeof(text), CLASS "/%s/%s", name, files[i]) ||
		    strcmp(text, "uncached"))
			continue;
		one = advice_add(a, i ? "user-memory-type" : "memory-type", true, name,
				 "every access goes past the caches and is tens of times slower; "
				 "in a guest, firmware decides that, by where it puts the device");
		advice_what(one, "%s the shared memory %s", who[i], text);
		advice_command(one, "dmesg | grep ivring; modinfo ivring_guest | grep version");
	}
}

static void look_at_vectors(struct advices *a, const char *root, const char *name)
{
	uint64_t vectors, channels;
	struct advice *one;

	if (!machine_number(root, &vectors, CLASS "/%s/vectors", name) ||
	    !machine_number(root, &channels, CLASS "/%s/channels", name) || !vectors ||
	    vectors > channels)
		return;
	one = advice_add(a, "vectors", true, name, "channels that share an interrupt wake up each "
			 "other's waiters");
	advice_what(one, "%llu doorbell vectors for %llu channels and the link",
		    (unsigned long long)vectors, (unsigned long long)channels);
	advice_command(one, "ivring serve --channels %llu --vectors %llu ...; qemu-system-x86_64 "
		       "-device ivshmem-doorbell,vectors=%llu,...", (unsigned long long)channels,
		       (unsigned long long)channels + 1, (unsigned long long)channels + 1);
}

/* Counters that stay 0 where all is well */
static void look_at_faults(struct advices *a, const char *root, const char *name)
{
	static const struct {
		const char *id, *counter, *what, *why, *command;
	} faults[] = {
		{ "storm", "late", "doorbells were held back as a storm",
		  "the peer rings, and nothing comes of it: another release, or not ivring at all",
		  "dmesg | grep ivring; ivring --version" },
		{ "overwritten", "restored", "times this side's presence was overwritten",
		  "somebody else writes to the memory", "dmesg | grep ivring" },
	};
	struct advice *one;
	uint64_t value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!machine_number(root, &value, CLASS "/%s/stats/%s", name, faults[i].counter) ||
		    !value)
			continue;
		one = advice_add(a, faults[i].id, true, name, faults[i].why);
		advice_what(one, "%llu %s", (unsigned long long)value, faults[i].what);
		advice_command(one, "%s", faults[i].command);
	}
}

/* ---- a channel ---- */

static void look_at_window(struct advices *a, const struct machine *m, const char *root,
			   const char *name)
{
	uint64_t window, last = m->l3 ? m->l3 : m->l2;
	struct advice *one;

	if (!machine_number(root, &window, CLASS "/%s/window", name) || !last ||
	    window <= last / 2)
		return;
	one = advice_add(a, "window", true, name, "what does not stay in the cache goes to memory "
			 "and back between the two copies");
	advice_what(one, "up to %llu KiB are in flight, and the last cache has %llu KiB",
		    (unsigned long long)window >> 10, (unsigned long long)last >> 10);
	advice_command(one, "echo auto >/" CLASS "/%s/window", name);
}

static void look_at_channel(struct advices *a, const struct machine *m, const char *root,
			    const char *name)
{
	uint64_t value, paid;
	struct advice *one;

	look_at_window(a, m, root, name);
	if (machine_number(root, &value, CLASS "/%s/stats/rescued", name) && value) {
		one = advice_add(a, "rescued", true, name, "a doorbell was lost, and a second of "
				 "waiting with it; this is a bug of the device, or of ivring");
		advice_what(one, "%llu wake-ups only came by a timer", (unsigned long long)value);
		advice_command(one, "dmesg | grep ivring; ivring stat %.*s",
			       (int)strcspn(name, "c"), name);
	}
	if (m->cpus > 1 && machine_number(root, &value, CLASS "/%s/spin_max_ns", name) && !value) {
		one = advice_add(a, "spin-off", true, name, "each wait costs a sleep and an interrupt");
		advice_what(one, "it never spins");
		advice_command(one, "echo max >/" CLASS "/%s/spin_max_ns", name);
	}
	if (!machine_number(root, &value, CLASS "/%s/stats/spins", name) || value < SPINS_MANY ||
	    !machine_number(root, &paid, CLASS "/%s/stats/spins_paid", name) || paid > value / 10)
		return;
	one = advice_add(a, "spins-in-vain", false, name, "the peer answers later than anybody "
			 "spins, for want of a CPU, or because it has nothing to say");
	advice_what(one, "of %llu busy waits %llu spared a sleep", (unsigned long long)value,
		    (unsigned long long)paid);
	advice_command(one, "echo 100000 >/" CLASS "/%s/spin_max_ns", name);
}

/* More than CPUs that are busy at once wait for each other, not for the peer. */
static void look_at_channels(struct advices *a, const struct machine *m, const char *root,
			     const char *name)
{
	unsigned int c, busy = 0;
	struct advice *one;
	uint64_t channels;
	char channel[32], state[32];

	machine_number(root, &channels, CLASS "/%s/channels", name);
	for (c = 0; c < min_u64(channels, 32); c++) {
		snprintf(channel, sizeof(channel), "%.20sc%u", name, c);
		look_at_channel(a, m, root, channel);
		busy += machine_text(root, state, sizeof(state), CLASS "/%s/state", channel) &&
			!strcmp(state, "connected");
	}
	if (!m->cpus || busy <= m->cpus)
		return;
	one = advice_add(a, "cpus", false, name, "each channel that is busy wants a CPU on either "
			 "side; more of them than CPUs do not make it faster");
	advice_what(one, "%u channels are in use, and there are %u CPUs", busy, m->cpus);
}

static bool is_wanted(const char *root, const char *name, const char *label, const char *link)
{
	char transport[32];

	if (!link)
		return true;
	if (!strncmp(link, "/dev/", 5))
		link += 5;
	if (!strcmp(link, "host"))
		return machine_text(root, transport, sizeof(transport), CLASS "/%s/transport", name) &&
		       !strcmp(transport, "guest");
	return !strcmp(link, name) || !strcmp(link, label) || !strcmp(link, name + strlen("ivring"));
}

static void look_at_link(struct advices *a, const struct machine *m, const char *root,
			 const char *name, const char *label)
{
	char transport[32];

	if (!machine_text(root, transport, sizeof(transport), CLASS "/%s/transport", name)) {
		a->hidden++;
		return;
	}
	look_at_memory(a, root, name);
	look_at_vectors(a, root, name);
	look_at_faults(a, root, name);
	look_at_channels(a, m, root, name);
	if (!strcmp(transport, "host"))
		advice_qemu(a, m, root, label);
}

static int is_link(const struct dirent *entry)
{
	return ivring_link_number(entry->d_name) >= 0;
}

unsigned int advice_take(struct advices *a, const struct machine *m, const char *root,
			 const char *link)
{
	char path[PATH_MAX], label[IVRING_LABEL_SIZE];
	struct dirent **entries;
	unsigned int found = 0;
	int i, count;

	memset(a, 0, sizeof(*a));
	look_at_cpus(a, m, root);
	look_at_clocks(a, root);
	advice_host(a, root);
	snprintf(path, sizeof(path), "%s/" CLASS, root);
	count = scandir(path, &entries, is_link, versionsort);
	for (i = 0; i < count; i++) {
		machine_text(root, label, sizeof(label), CLASS "/%s/label", entries[i]->d_name);
		if (is_wanted(root, entries[i]->d_name, label, link)) {
			look_at_link(a, m, root, entries[i]->d_name, label);
			found++;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return found;
}
