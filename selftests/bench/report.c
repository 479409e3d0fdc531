// SPDX-License-Identifier: GPL-2.0
/*
 * Results: a table to read, ring.json to work on, *.dat for the plots, and the
 * key figures as the last lines.
 */
#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "bench.h"

#define KEYS_MAX	32

static json_t *root, *figures, *latencies, *sweeps, *left_out, *keys;
static struct {
	const char *name;
	double value;
} key[KEYS_MAX];
static int n_keys;

static void must(int error)
{
	if (error)
		die("out of memory");
}

static void cpu_model(char *model, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];

	snprintf(model, size, "unknown");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
			snprintf(model, size, "%s", strchr(line, ':') + 2);
			model[strcspn(model, "\n")] = '\0';
			break;
		}
	if (f)
		fclose(f);
}

/* What an earlier run left would pass for this one's. */
static void results_remove(void)
{
	static const char *const patterns[] = { "*.dat", "*.svg", "ring.json" };
	char pattern[4096];
	size_t i, k;
	glob_t g;

	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s", opt.out, patterns[i]);
		if (glob(pattern, 0, NULL, &g))
			continue;
		for (k = 0; k < g.gl_pathc; k++)
			if (remove(g.gl_pathv[k]))
				die("%s: %m", g.gl_pathv[k]);
		globfree(&g);
	}
}

void report_open(void)
{
	char model[128];
	struct utsname u;

	uname(&u);
	cpu_model(model, sizeof(model));
	printf("%s, Linux %s, CPUs %d and %d, L2 %ju KiB, L3 %ju KiB, %d paired runs\n", model,
	       u.release, opt.cpu[0], opt.cpu[1], (uintmax_t)(cache_size(opt.cpu[0], 2) / KIB),
	       (uintmax_t)(cache_size(opt.cpu[0], 3) / KIB), opt.runs);
	if (mkdir(opt.out, 0777) && errno != EEXIST)
		die("--out: %s: %m", opt.out);
	results_remove();
	figures = json_object();
	latencies = json_object();
	sweeps = json_object();
	left_out = json_object();
	keys = json_object();
	root = json_pack("{s:{s:s,s:s,s:[i,i],s:I,s:I},s:{s:I,s:I,s:I,s:I,s:I,s:i,s:b}}",
			 "machine", "cpu", model, "kernel", u.release,
			 "cpus", opt.cpu[0], opt.cpu[1],
			 "l2", (json_int_t)cache_size(opt.cpu[0], 2),
			 "l3", (json_int_t)cache_size(opt.cpu[0], 3),
			 "options", "bytes", (json_int_t)opt.bytes, "ring", (json_int_t)opt.ring,
			 "window", (json_int_t)opt.window, "chunk", (json_int_t)opt.chunk,
			 "spin_ns", (json_int_t)opt.spin_ns, "runs", opt.runs,
			 "quick", opt.quick);
	must(!root || json_object_set_new(root, "figures", figures) ||
	     json_object_set_new(root, "latencies", latencies) ||
	     json_object_set_new(root, "sweeps", sweeps) ||
	     json_object_set_new(root, "left_out", left_out) ||
	     json_object_set_new(root, "keys", keys));
}

void report_title(const char *fmt, ...)
{
	va_list ap;

	putchar('\n');
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void report_note(const char *fmt, ...)
{
	va_list ap;

	fputs("  ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static json_t *series_json(const struct series *s)
{
	json_t *runs = json_array();
	int i;

	for (i = 0; i < s->n; i++)
		must(json_array_append_new(runs, json_real(s->v[i])));
	return json_pack("{s:f,s:f,s:f,s:o}", "median", series_median(s), "min", series_min(s),
			 "max", series_max(s), "runs", runs);
}

void report_figure(const char *name, const char *text, const char *unit, const struct series *s)
{
	json_t *j = series_json(s);

	printf("  %-38s %9.2f %-5s (%.2f .. %.2f)\n", text, series_median(s), unit,
	       series_min(s), series_max(s));
	fflush(stdout);
	must(json_object_set_new(j, "unit", json_string(unit)) ||
	     json_object_set_new(figures, name, j));
}

static FILE *data_open(const char *name, bool append)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.dat", opt.out, name);
	f = fopen(path, append ? "a" : "w");
	if (!f)
		die("%s: %m", path);
	return f;
}

static void data_close(FILE *f, const char *name)
{
	if (fclose(f))
		die("%s.dat: %m", name);
}

void report_latency(const char *name, const char *text, struct samples *s)
{
	static const double q[] = { 0.5, 0.99, 0.999, 1 };
	uint32_t v[4];
	FILE *f;
	int i;

	for (i = 0; i < 4; i++)
		v[i] = samples_quantile(s, q[i]);
	printf("  %-38s p50 %u  p99 %u  p99.9 %u  max %u ns\n", "", v[0], v[1], v[2], v[3]);
	fflush(stdout);
	must(json_object_set_new(latencies, name,
				 json_pack("{s:I,s:I,s:I,s:I,s:I}", "p50", (json_int_t)v[0],
					   "p99", (json_int_t)v[1], "p99.9", (json_int_t)v[2],
					   "max", (json_int_t)v[3], "samples", (json_int_t)s->n)));
	f = data_open(name, false);
	fprintf(f, "# %s: part of trips that take longer, ns\n", text);
	for (i = 1; i < 500; i++) {
		/* Evenly spread over a logarithmic axis, from 1 to 1e-5. */
		double longer = __builtin_pow(10, -i / 100.0);

		if (longer * s->n >= 1)
			fprintf(f, "%g %u\n", longer, samples_quantile(s, 1 - longer));
	}
	data_close(f, name);
}

void report_bar(const char *plot, const char *text, const struct series *s)
{
	FILE *f = data_open(plot, true);

	fprintf(f, "\"%s\" %g %g %g\n", text, series_median(s), series_min(s), series_max(s));
	data_close(f, plot);
}

void report_point(const char *sweep, uint64_t x, const struct series *s,
		  const struct series *ratio)
{
	json_t *points = json_object_get(sweeps, sweep), *point;
	FILE *f = data_open(sweep, points != NULL);

	if (!points) {
		points = json_array();
		must(json_object_set_new(sweeps, sweep, points));
	}
	point = json_pack("{s:I,s:o,s:o}", "bytes", (json_int_t)x, "gb_per_s", series_json(s),
			  "over_memcpy", series_json(ratio));
	must(!point || json_array_append_new(points, point));
	fprintf(f, "%ju %g %g %g %g %g %g\n", (uintmax_t)(x / KIB), series_median(s),
		series_min(s), series_max(s), series_median(ratio), series_min(ratio),
		series_max(ratio));
	data_close(f, sweep);
	printf("  %8ju KiB %9.2f GB/s (%.2f .. %.2f)   %.2f of memcpy (%.2f .. %.2f)\n",
	       (uintmax_t)(x / KIB), series_median(s), series_min(s), series_max(s),
	       series_median(ratio), series_min(ratio), series_max(ratio));
	fflush(stdout);
}

void report_left_out(const char *name, const char *text, const char *reason)
{
	report_note("%s: left out: %s", text, reason);
	must(json_object_set_new(left_out, name, json_string(reason)));
}

void report_key(const char *name, const char *what, const struct series *s, double bar,
		bool least)
{
	double v = series_median(s);
	bool reached = least ? v >= bar : v <= bar;
	json_t *j;

	/* One of the two was not measured. */
	if (!s->n)
		return;
	j = series_json(s);
	if (n_keys == KEYS_MAX)
		die("more than %d keys", KEYS_MAX);
	key[n_keys].name = name;
	key[n_keys++].value = v;
	printf("  %-38s %9.3f       (%.3f .. %.3f)", name, v, series_min(s), series_max(s));
	if (bar) {
		printf("  bar %s %g: %s", least ? ">=" : "<=", bar, reached ? "reached" : "MISSED");
		must(json_object_set_new(j, "bar", json_real(bar)) ||
		     json_object_set_new(j, "reached", json_boolean(reached)));
	}
	must(json_object_set_new(j, "what", json_string(what)) ||
	     json_object_set_new(keys, name, j));
	printf("\n    %s\n", what);
	fflush(stdout);
}

void report_close(void)
{
	char path[4096];
	int i;

	snprintf(path, sizeof(path), "%s/ring.json", opt.out);
	if (json_dump_file(root, path, JSON_INDENT(2) | JSON_PRESERVE_ORDER))
		die("%s: cannot write", path);
	json_decref(root);
	putchar('\n');
	for (i = 0; i < n_keys; i++)
		printf("%s %.3f\n", key[i].name, key[i].value);
}
