// SPDX-License-Identifier: GPL-2.0
/* What bench measured, as a page. */
#include <stdio.h>
#include <string.h>

#include "bench-report.h"
#include "libivring.h"
#include "machine.h"
#include "util.h"

static const char head[] =
"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>ivring bench</title>\n"
"<style>\n"
"body { font: 15px/1.4 sans-serif; max-width: 64em; margin: 2em auto; padding: 0 1em; }\n"
"table { border-collapse: collapse; } td, th { padding: .2em .6em; text-align: right;\n"
" border-bottom: 1px solid #ddd; } th:first-child, td.bar { text-align: left; }\n"
"th { font-weight: normal; } td.bar { width: 16em; } td.bar div { background: #2a6fbb;\n"
" height: .8em; }\n"
"</style></head><body><h1>ivring bench</h1>\n";

static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else
			putc(*text, out);
	}
}

static void print_fact(FILE *out, const char *name, const char *value)
{
	fprintf(out, "<tr><td>%s</td><th>", name);
	print_escaped(out, value);
	fputs("</th></tr>\n", out);
}

static void print_facts(FILE *out, const struct bench_report *r)
{
	const struct ivring_link_info *info = r->info;
	const struct machine *m = r->machine;
	char text[256];

	fputs("<table>\n", out);
	snprintf(text, sizeof(text), "ivring%u %s, side %u, memory %s", info->link, info->label,
		 info->side, ivring_memory_type_name(info->memory_type));
	print_fact(out, "link", text);
	snprintf(text, sizeof(text), "rings of %llu KiB, window %llu KiB, chunk %llu KiB",
		 (unsigned long long)info->ring_size >> 10,
		 (unsigned long long)bench_channel_number(r, "window") >> 10,
		 (unsigned long long)bench_channel_number(r, "chunk") >> 10);
	print_fact(out, "channel", text);
	snprintf(text, sizeof(text), "%u runs, %u channels", r->runs, r->channels);
	print_fact(out, "work", text);
	snprintf(text, sizeof(text), "%s, %u CPUs, %u NUMA nodes, caches of %llu, %llu and %llu KiB",
		 m->cpu, m->cpus, m->nodes, (unsigned long long)m->l1 >> 10,
		 (unsigned long long)m->l2 >> 10, (unsigned long long)m->l3 >> 10);
	print_fact(out, "CPU", text);
	print_fact(out, "kernel", m->kernel);
	print_fact(out, "hypervisor", m->hypervisor);
	print_fact(out, "machine", m->product);
	fputs("</table>\n", out);
}

static void print_bar(FILE *out, double value, double most)
{
	fprintf(out, "<td class=\"bar\"><div style=\"width: %.1f%%\"></div></td></tr>\n",
		most > 0 ? 100 * value / most : 0);
}

/* The highest of either kind: what a full bar stands for */
static double most_of(const struct bench_report *r, bool echo)
{
	double value, most = 0;
	size_t i;

	for (i = 0; i < r->count; i++) {
		if ((r->tests[i].op == BENCH_ECHO) != echo)
			continue;
		value = bench_test_median(r, &r->tests[i]);
		most = value > most ? value : most;
	}
	return most;
}

static void print_transfers(FILE *out, const struct bench_report *r)
{
	double copy = bench_report_copy(r), most = most_of(r, false), value, gib;
	const struct bench_test *t;
	size_t i;

	fputs("<h2>Rates</h2><table>\n<tr><th></th><th>MB/s</th><th>range</th><th>over memcpy</th>"
	      "<th>calls per GiB, here, there</th><th>doorbells</th><th>CPU s</th><th></th></tr>\n",
	      out);
	for (i = 0; i < r->count; i++) {
		t = &r->tests[i];
		if (t->op == BENCH_ECHO)
			continue;
		value = bench_test_median(r, t);
		fprintf(out, "<tr><th>%s</th><td>%.0f</td><td>%.0f..%.0f</td><td>%.3f</td>", t->name,
			value, bench_test_least(r, t, 1), bench_test_least(r, t, -1),
			copy > 0 ? value / copy : 0);
		gib = bench_test_gib(r, t);
		if (bench_test_transfers(t))
			fprintf(out, "<td>%.0f, %.0f</td><td>%.0f, %.0f</td><td>%.2f, %.2f</td>",
				t->here.calls / gib, t->there.calls / gib, t->here.doorbells / gib,
				t->there.doorbells / gib, t->here.cpu_ns / gib / 1e9,
				t->there.cpu_ns / gib / 1e9);
		else
			fputs("<td></td><td></td><td></td>", out);
		print_bar(out, value, most);
	}
	fputs("</table>\n", out);
}

static void print_trips(FILE *out, const struct bench_report *r)
{
	static const double parts[] = { 0.5, 0.9, 0.99, 0.999 };
	double most = most_of(r, true);
	const struct bench_test *t;
	size_t i, p;

	if (!(most > 0))
		return;
	fputs("<h2>Round trips of 64 bytes, microseconds</h2><table>\n<tr><th></th><th>median of the "
	      "runs</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th><th></th></tr>\n",
	      out);
	for (i = 0; i < r->count; i++) {
		t = &r->tests[i];
		if (t->op != BENCH_ECHO)
			continue;
		fprintf(out, "<tr><th>%s</th><td>%.1f</td>", t->name, bench_test_median(r, t) / 1000);
		for (p = 0; p < ARRAY_SIZE(parts); p++)
			fprintf(out, "<td>%.1f</td>", latency_part(t->rtt, parts[p]) / 1000.0);
		fprintf(out, "<td>%.1f</td>", t->rtt->max_ns / 1000.0);
		print_bar(out, bench_test_median(r, t), most);
	}
	fputs("</table>\n", out);
}

void bench_report_html(FILE *out, const struct bench_report *r)
{
	fputs(head, out);
	print_facts(out, r);
	print_transfers(out, r);
	print_trips(out, r);
	fputs("</body></html>\n", out);
}
