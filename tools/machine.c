// SPDX-License-Identifier: GPL-2.0
#include "machine.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "util.h"

#define CACHES_MAX	16

/* A file below @root, to be read */
static FILE *open_below(const char *root, const char *fmt, va_list ap)
{
	char name[PATH_MAX], path[PATH_MAX];

	vsnprintf(name, sizeof(name), fmt, ap);
	if (snprintf(path, sizeof(path), "%s/%s", root, name) >= (int)sizeof(path))
		return NULL;
	return fopen(path, "re");
}

static bool first_line(const char *root, char *text, size_t size, const char *fmt, va_list ap)
{
	FILE *f = open_below(root, fmt, ap);
	bool ok;

	*text = '\0';
	if (!f)
		return false;
	ok = fgets(text, size, f);
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	make_printable(text);
	return ok;
}

bool machine_text(const char *root, char *text, size_t size, const char *fmt, ...)
{
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = first_line(root, text, size, fmt, ap);
	va_end(ap);
	return ok;
}

bool machine_number(const char *root, uint64_t *value, const char *fmt, ...)
{
	char text[64];
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = first_line(root, text, sizeof(text), fmt, ap) &&
	     parse_number(text, UINT64_MAX, value);
	va_end(ap);
	if (!ok)
		*value = 0;
	return ok;
}

unsigned int machine_list_count(const char *list)
{
	unsigned int count = 0;
	unsigned long from, to;
	char *end;

	while (*list >= '0' && *list <= '9') {
		from = to = strtoul(list, &end, 10);
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		if (to < from || to - from > UINT16_MAX)
			return 0;
		count += to - from + 1;
		list = *end == ',' ? end + 1 : end;
	}
	return *list ? 0 : count;
}

/* The value in a line "NAME : VALUE", NULL if it is another line */
static const char *value_of(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len))
		return NULL;
	line += len + strspn(line + len, " \t");
	return *line == ':' ? line + 1 + strspn(line + 1, " \t") : NULL;
}

bool machine_field(const char *root, const char *name, char *value, size_t size,
		   const char *fmt, ...)
{
	const char *found = NULL;
	char line[8192];
	va_list ap;
	FILE *f;

	*value = '\0';
	va_start(ap, fmt);
	f = open_below(root, fmt, ap);
	va_end(ap);
	while (f && !found && fgets(line, sizeof(line), f)) {
		found = value_of(line, name);
		if (!found)
			continue;
		snprintf(value, size, "%.*s", (int)strcspn(found, "\n"), found);
		make_printable(value);
	}
	if (f)
		fclose(f);
	return found;
}

static void read_caches(struct machine *m, const char *root)
{
	char type[32], text[32];
	uint64_t level, size;
	unsigned int i;

	for (i = 0; i < CACHES_MAX; i++) {
		const char *dir = "sys/devices/system/cpu/cpu0/cache";

		if (!machine_number(root, &level, "%s/index%u/level", dir, i) ||
		    !machine_text(root, type, sizeof(type), "%s/index%u/type", dir, i) ||
		    !machine_text(root, text, sizeof(text), "%s/index%u/size", dir, i) ||
		    !strcmp(type, "Instruction") || !parse_size(text, &size))
			continue;
		if (level == 1)
			m->l1 = size;
		else if (level == 2)
			m->l2 = size;
		else if (level == 3)
			m->l3 = size;
	}
}

static void read_hypervisor(struct machine *m, const char *root)
{
	char flags[8192], sources[256];
	const char *what = "none";

	/* CPUs that are emulated say so by their name, whatever their flags. */
	if (!strncmp(m->cpu, "QEMU TCG", 8))
		what = "tcg";
	else if (machine_field(root, "flags", flags, sizeof(flags), "proc/cpuinfo") &&
		 strstr(flags, " hypervisor"))
		what = machine_text(root, sources, sizeof(sources), "sys/devices/system/clocksource/"
				    "clocksource0/available_clocksource") &&
		       strstr(sources, "kvm-clock") ? "kvm" : "other";
	snprintf(m->hypervisor, sizeof(m->hypervisor), "%s", what);
}

static void read_product(struct machine *m, const char *root)
{
	char vendor[48], name[64], version[40];

	machine_text(root, vendor, sizeof(vendor), "sys/class/dmi/id/sys_vendor");
	machine_text(root, name, sizeof(name), "sys/class/dmi/id/product_name");
	machine_text(root, version, sizeof(version), "sys/class/dmi/id/product_version");
	snprintf(m->product, sizeof(m->product), "%s%s%s%s%s", vendor, *name ? " " : "", name,
		 *version ? " " : "", version);
}

void machine_read(struct machine *m, const char *root)
{
	char list[256];

	memset(m, 0, sizeof(*m));
	machine_field(root, "model name", m->cpu, sizeof(m->cpu), "proc/cpuinfo");
	machine_text(root, m->kernel, sizeof(m->kernel), "proc/sys/kernel/osrelease");
	if (machine_text(root, list, sizeof(list), "sys/devices/system/cpu/online"))
		m->cpus = machine_list_count(list);
	if (machine_text(root, list, sizeof(list), "sys/devices/system/node/online"))
		m->nodes = machine_list_count(list);
	read_caches(m, root);
	read_hypervisor(m, root);
	read_product(m, root);
}

void machine_print_json(const struct machine *m)
{
	printf("\"cpus\":%u,\"nodes\":%u,\"l1\":%llu,\"l2\":%llu,\"l3\":%llu", m->cpus, m->nodes,
	       (unsigned long long)m->l1, (unsigned long long)m->l2, (unsigned long long)m->l3);
	report_json_member("cpu", m->cpu);
	report_json_member("kernel", m->kernel);
	report_json_member("hypervisor", m->hypervisor);
	report_json_member("product", m->product);
}
