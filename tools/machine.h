/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this machine is, as far as it matters for a ring: from /proc and /sys below a root,
 * which is "" but for tests and for what was copied from elsewhere.
 */
#ifndef IVRING_MACHINE_H
#define IVRING_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct machine - what is not known is empty, or zero
 * @cpu: model
 * @kernel: release
 * @hypervisor: "none", "kvm", "tcg" or "other": what runs this machine, if it is a VM
 * @product: what firmware says it is, with QEMU's machine type
 * @cpus: that are online
 * @nodes: NUMA nodes that are online
 * @l1, @l2, @l3: bytes of the data caches of CPU 0
 */
struct machine {
	char cpu[96];
	char kernel[96];
	char hypervisor[16];
	char product[160];
	unsigned int cpus;
	unsigned int nodes;
	uint64_t l1, l2, l3;
};

void machine_read(struct machine *m, const char *root);

/* All of it as members of an object of JSON. */
void machine_print_json(const struct machine *m);

/* The first line of a file below @root, printable; false: there is none, and @text is empty. */
bool machine_text(const char *root, char *text, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same for a decimal number, without a sign. */
bool machine_number(const char *root, uint64_t *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The value of the first line "NAME : VALUE" of such a file, printable; likewise. */
bool machine_field(const char *root, const char *name, char *value, size_t size,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* How many a list such as "0-3,8" has; 0 for what is none. */
unsigned int machine_list_count(const char *list);

#endif /* IVRING_MACHINE_H */
