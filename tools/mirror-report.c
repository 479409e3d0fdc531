// SPDX-License-Identifier: GPL-2.0
#include "mirror.h"

#include <stdio.h>

#include "util.h"

static const char *kind_name(const struct change *change)
{
	if (change->renamed)
		return "renamed";
	switch (change->kind) {
	case SEND_GONE:
		return "deleted";
	case SEND_FILE:
	case SEND_FILE_LINKED:
		return "file";
	}
	return "other";
}

void mirror_tell_change(const struct mirror *m, const struct change *change, int64_t latency_ns)
{
	const struct report_options *o = &m->o->report;

	if (change->kind == SEND_NOTHING || (change->kind == SEND_GONE && !m->deletes) ||
	    (o->json ? o->quiet : !o->verbose))
		return;
	if (!o->json) {
		printf("%-10s %s", kind_name(change),
		       printable(*change->path ? change->path : "."));
		if (latency_ns >= 0)
			printf(" (%.3f ms)", (double)latency_ns / NSEC_PER_MSEC);
		putchar('\n');
	} else {
		printf("{\"type\":\"change\",\"change\":\"%s\",\"path\":", kind_name(change));
		report_json_string(change->path);
		if (change->renamed) {
			fputs(",\"from\":", stdout);
			report_json_string(change->from);
		}
		if (latency_ns >= 0)
			printf(",\"latency_us\":%lld", (long long)latency_ns / 1000);
		puts("}");
	}
	fflush(stdout);
}

void mirror_tell_item(const struct mirror *m, enum sync_item item, const char *path)
{
	const struct report_options *o = &m->o->report;

	if (o->json && !o->quiet) {
		printf("{\"type\":\"difference\",\"difference\":\"%s\",\"path\":",
		       sync_item_name(item));
		report_json_string(path);
		puts("}");
	} else if (!o->json && o->verbose) {
		printf("%-10s %s\n", sync_item_name(item), printable(*path ? path : "."));
	}
}

void mirror_tell_failure(const struct mirror *m, const struct status *why)
{
	if (!m->o->report.json) {
		complain("watch: %s", why->text);
		return;
	}
	printf("{\"type\":\"error\",\"code\":%d,\"text\":", why->code);
	report_json_string(why->text);
	puts("}");
	fflush(stdout);
}

void mirror_tell_sync(const struct mirror *m, const char *reason, uint64_t changes,
		      uint64_t deleted, double seconds)
{
	const struct report_options *o = &m->o->report;

	if (o->quiet)
		return;
	if (o->json)
		printf("{\"type\":\"sync\",\"reason\":\"%s\",\"deleted\":%llu,\"seconds\":%.3f,"
		       "\"differences\":%llu}\n", reason, (unsigned long long)deleted, seconds,
		       (unsigned long long)changes);
	else if (o->verbose)
		printf("compared   all in %.3f s (%s)\n", seconds, reason);
	fflush(stdout);
}

void mirror_tell_retry(const struct mirror *m, const struct status *why, unsigned int number,
		       int pause_ms)
{
	if (m->o->report.json) {
		printf("{\"type\":\"retry\",\"number\":%u,\"seconds\":%.3f,\"code\":%d,\"text\":",
		       number, pause_ms / 1000.0, why->code);
		report_json_string(why->text);
		puts("}");
		fflush(stdout);
	} else if (!m->o->report.quiet) {
		complain("watch: %s; trying again in %g s", why->text, pause_ms / 1000.0);
	}
}

void mirror_tell_ready(const struct mirror *m)
{
	const struct report_options *o = &m->o->report;
	const char *slash = *m->prefix && *m->push.far &&
			    m->push.far[strlen(m->push.far) - 1] != '/' ? "/" : "";

	if (o->json) {
		fputs("{\"type\":\"ready\",\"source\":", stdout);
		report_json_string(m->push.near);
		fputs(",\"link\":", stdout);
		report_json_string(m->link);
		fputs(",\"path\":", stdout);
		report_json_string(m->push.far);
		fputs(",\"name\":", stdout);
		report_json_string(m->prefix);
		puts("}");
	} else if (!o->quiet) {
		printf("%s: mirrored to %s:%s%s%s\n", printable(m->push.near), m->link,
		       printable(m->push.far), slash, printable(m->prefix));
	}
	fflush(stdout);
}

static double part_ms(const struct mirror *m, double part)
{
	return (double)latency_part(&m->stats.latency, part) / NSEC_PER_MSEC;
}

void mirror_tell_summary(const struct mirror *m, const char *name, uint64_t overflows,
			 uint64_t retries, double seconds, int code)
{
	const struct mirror_stats *s = &m->stats;
	unsigned long long files = s->files, bytes = s->bytes, deleted = s->deleted,
		renamed = s->renamed, others = s->others, failed = s->failed, syncs = s->syncs;

	if (m->o->report.json) {
		fputs("{\"type\":\"summary\",\"name\":", stdout);
		report_json_string(name);
		printf(",\"files\":%llu,\"others\":%llu,\"deleted\":%llu,\"renamed\":%llu,"
		       "\"failed\":%llu,\"bytes\":%llu,\"wire_bytes\":%llu,\"rounds\":%llu,"
		       "\"syncs\":%llu,\"sync_deleted\":%llu,\"overflows\":%llu,\"retries\":%llu,",
		       files, others, deleted, renamed, failed, bytes, (unsigned long long)s->wire,
		       (unsigned long long)s->rounds, syncs, (unsigned long long)s->sync_deleted,
		       (unsigned long long)overflows, (unsigned long long)retries);
		printf("\"pending\":%zu,\"latency_count\":%llu,\"latency_p50_us\":%lld,"
		       "\"latency_p99_us\":%lld,\"latency_max_us\":%lld,\"seconds\":%.3f,"
		       "\"code\":%d}\n", changes_count(m->changes),
		       (unsigned long long)s->latency.count,
		       (long long)latency_part(&s->latency, 0.5) / 1000,
		       (long long)latency_part(&s->latency, 0.99) / 1000,
		       (long long)s->latency.max_ns / 1000, seconds, code);
	} else if (!m->o->report.quiet) {
		printf("%s: %llu files, %llu others, %llu deleted, %llu renamed, %llu failed, "
		       "%llu bytes of content in %.1f s; all compared %llu times", printable(name),
		       files, others, deleted, renamed, failed, bytes, seconds, syncs);
		if (s->latency.count)
			printf("; from close to visible: p50 %.3f ms, p99 %.3f ms, max %.3f ms",
			       part_ms(m, 0.5), part_ms(m, 0.99),
			       (double)s->latency.max_ns / NSEC_PER_MSEC);
		if (changes_count(m->changes))
			printf("; %zu changes not sent", changes_count(m->changes));
		putchar('\n');
	}
	fflush(stdout);
}
