// SPDX-License-Identifier: GPL-2.0
/* What is about KVM, and about the QEMU that has a link's memory. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "util.h"

#define HALT_POLL	"sys/module/kvm/parameters/halt_poll_ns"
/* What KVM itself begins with on x86 */
#define HALT_POLL_NS	200000

void advice_host(struct advices *a, const char *root)
{
	struct advice *one;
	uint64_t value;

	if (machine_number(root, &value, HALT_POLL) && !value) {
		one = advice_add(a, "halt-poll", false, "", "a guest's CPU that sleeps is given up at "
				 "once, and waking it takes tens of microseconds more");
		advice_what(one, "KVM does not poll for a halted guest: halt_poll_ns is 0");
		advice_command(one, "echo %u >/" HALT_POLL, HALT_POLL_NS);
	}
}

/* ---- processes ---- */

/*
 * The size of the pages by which a process has the memory of that link, in KiB; 0: it has
 * not, or this user may not know.
 */
static unsigned long link_pages(const char *root, const char *pid, const char *label)
{
	char path[PATH_MAX], line[PATH_MAX], file[64];
	unsigned long kib = 0;
	bool within = false;
	size_t len;
	FILE *f;

	len = snprintf(file, sizeof(file), "/memfd:ivring-%s", label);
	snprintf(path, sizeof(path), "%s/proc/%s/smaps", root, pid);
	f = fopen(path, "re");
	while (f && !kib && fgets(line, sizeof(line), f)) {
		char *name = strstr(line, file);

		/* Of a mapping, the line that begins it is the only one with a path. */
		if (strchr(line, '/'))
			within = name && strchr(" \n", name[len]);
		else if (within && sscanf(line, "KernelPageSize: %lu", &kib) != 1)
			kib = 0;
	}
	if (f)
		fclose(f);
	return kib;
}

static void look_at_pages(struct advices *a, const char *label, unsigned long kib)
{
	struct advice *one;

	if (kib >= 2048)
		return;
	one = advice_add(a, "huge-pages", false, label, "large pages need fewer entries of the "
			 "TLB, of both page tables that a guest's access goes through");
	advice_what(one, "the shared memory has pages of %lu KiB", kib);
	advice_command(one, "sysctl vm.nr_hugepages=64; ivring serve --hugepages %s", label);
}

static void look_at_nodes(struct advices *a, const struct machine *m, const char *root,
			  const char *pid, const char *label)
{
	char nodes[256];
	struct advice *one;

	if (m->nodes < 2 || !machine_field(root, "Mems_allowed_list", nodes, sizeof(nodes),
					   "proc/%s/status", pid) ||
	    machine_list_count(nodes) < 2)
		return;
	one = advice_add(a, "numa", true, label, "a copy from another node's memory is slower, and "
			 "so is each cache line that both sides use");
	advice_what(one, "its QEMU (%s) may use the memory of %u nodes", pid,
		    machine_list_count(nodes));
	advice_command(one, "numactl --cpunodebind=0 --membind=0 ivring serve %s; numactl "
		       "--cpunodebind=0 --membind=0 qemu-system-x86_64 ...", label);
}

static int is_process(const struct dirent *entry)
{
	return entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
}

/* CPUs that go about lose their caches, and the ring's lines with them. */
static void look_at_vcpus(struct advices *a, const struct machine *m, const char *root,
			  const char *pid, const char *label)
{
	char path[PATH_MAX], task[64], comm[32], list[256], first[32] = "";
	unsigned int vcpus = 0, loose = 0;
	struct dirent **entries;
	struct advice *one;
	int i, count;

	snprintf(path, sizeof(path), "%s/proc/%s/task", root, pid);
	count = scandir(path, &entries, is_process, versionsort);
	for (i = 0; i < count; i++) {
		snprintf(task, sizeof(task), "%.20s/task/%.20s", pid, entries[i]->d_name);
		if (machine_text(root, comm, sizeof(comm), "proc/%s/comm", task) &&
		    !strncmp(comm, "CPU ", 4)) {
			vcpus++;
			if (machine_field(root, "Cpus_allowed_list", list, sizeof(list),
					  "proc/%s/status", task) &&
			    machine_list_count(list) > 1 && !loose++)
				snprintf(first, sizeof(first), "%.20s", entries[i]->d_name);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	/* Where there are no CPUs to spare, pinning only takes freedom away. */
	if (!loose || vcpus >= m->cpus)
		return;
	one = advice_add(a, "pinning", false, label, "CPUs of the guest that move lose their "
			 "caches, and may come to share one with what they wait for");
	advice_what(one, "%u of the %u CPUs of its QEMU (%s) are not pinned", loose, vcpus, pid);
	advice_command(one, "taskset -cp 1 %s; taskset -c 0 ivring push ...", first);
}

void advice_qemu(struct advices *a, const struct machine *m, const char *root, const char *label)
{
	struct dirent **entries;
	char path[PATH_MAX], comm[32];
	unsigned long kib;
	int i, count;

	snprintf(path, sizeof(path), "%s/proc", root);
	count = scandir(path, &entries, is_process, versionsort);
	for (i = 0; i < count; i++) {
		const char *pid = entries[i]->d_name;

		if (machine_text(root, comm, sizeof(comm), "proc/%s/comm", pid) &&
		    !strncmp(comm, "qemu", 4)) {
			kib = link_pages(root, pid, label);
			if (kib) {
				look_at_pages(a, label, kib);
				look_at_nodes(a, m, root, pid, label);
				look_at_vcpus(a, m, root, pid, label);
			}
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}
