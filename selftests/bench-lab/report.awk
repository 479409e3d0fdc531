# SPDX-License-Identifier: GPL-2.0
#
# From what bench.sh measured, in the directory "dir", a report, and report.json there.
#
# A ratio is taken within a round, so that what slowed down the machine meanwhile slowed
# down both, and the median of the rounds' ratios counts.

function load(file, sep,	line, n) {
	n = 0
	while ((getline line < (dir "/" file)) > 0)
		row[file, ++n] = line
	rows[file] = n
	close(dir "/" file)
}

function median(a, n,	b, i, j) {
	if (!n)
		return 0
	for (i = 1; i <= n; i++) {
		for (j = i; j > 1 && b[j - 1] > a[i] + 0; j--)
			b[j] = b[j - 1]
		b[j] = a[i] + 0
	}
	return n % 2 ? b[(n + 1) / 2] : (b[n / 2] + b[n / 2 + 1]) / 2
}

# mbps[kind, system, way, round], and system's place in order of appearance
function load_samples(	i, f) {
	for (i = 1; i <= rows["samples"]; i++) {
		split(row["samples", i], f, " ")
		if (!f[6])
			continue
		rate[f[1], f[2], f[3], f[4]] = f[5] / f[6]
		bytes[f[1], f[2]] = f[5]
		time[f[1], f[2], f[3], f[4]] = f[6] / 1e6
		if (f[4] > last)
			last = f[4]
		measured[f[1], f[2]] = 1
	}
}

# The slower of the two cp of a round is what a transfer is measured against.
function load_slower(kind,	r, a, b) {
	for (r = 1; r <= last; r++) {
		a = rate[kind, "cp", "push", r]
		b = rate[kind, "cp", "pull", r]
		if (a && b)
			slower[kind, r] = a < b ? a : b
	}
}

# collect(KIND, SYSTEM, WAY): rates into got, in order of rounds; their number
function collect(kind, sys, way,	r, n) {
	delete got
	n = 0
	for (r = 1; r <= last; r++)
		if ((kind, sys, way, r) in rate)
			got[++n] = rate[kind, sys, way, r]
	return n
}

function med_rate(kind, sys, way,	n) {
	n = collect(kind, sys, way)
	return median(got, n)
}

# The widest of a round's rates from the median, in percent
function spread(kind, sys, way,	n, i, m, lo, hi) {
	n = collect(kind, sys, way)
	m = median(got, n)
	if (!m)
		return 0
	lo = hi = got[1]
	for (i = 2; i <= n; i++) {
		if (got[i] < lo)
			lo = got[i]
		if (got[i] > hi)
			hi = got[i]
	}
	return 100 * (hi - lo) / m
}

# ratio(KIND, A, B, WAY): A's rate, B's being 1; B may be "slower"
function ratio(kind, a, b, way,	r, n, list, x) {
	n = 0
	for (r = 1; r <= last; r++) {
		x = b == "slower" ? slower[kind, r] : rate[kind, b, way, r]
		if (x && (kind, a, way, r) in rate)
			list[++n] = rate[kind, a, way, r] / x
	}
	return median(list, n)
}

# A peer does what ivring does, between host and guest.
function best_peer(kind, way,	i, sys, m, best, top) {
	for (i = 1; i <= systems; i++) {
		sys = order[i]
		if (sys == "cp" || sys ~ /^ivring/)
			continue
		m = med_rate(kind, sys, way)
		if (m > top) {
			top = m
			best = sys
		}
	}
	return best
}

function rule(	i) {
	print "===================  =========  =======  =========  =========  =======  ========="
}

function cell(kind, sys, way,	m) {
	m = med_rate(kind, sys, way)
	if (!m)
		return sprintf("%9s  %7s  %9s", "-", "-", "-")
	return sprintf("%9.1f  %6.0f%%  %9.3f", m, spread(kind, sys, way),
		       ratio(kind, sys, "slower", way))
}

function small(sys, kind) {
	return bytes[kind, sys] < bytes[kind, "ivring"]
}

function table(kind, what,	i, n, note) {
	n = 0
	for (i = 1; i <= systems; i++)
		n += (kind, order[i]) in measured
	if (!n)
		return
	print what "\n"
	rule()
	printf "%-19s  %9s  %7s  %9s  %9s  %7s  %9s\n", "", "push MB/s", "spread", "over cp",
	       "pull MB/s", "spread", "over cp"
	rule()
	for (i = 1; i <= systems; i++) {
		if (!((kind, order[i]) in measured))
			continue
		printf "%-19s  %s  %s\n", order[i] (small(order[i], kind) ? " [*]" : ""),
		       cell(kind, order[i], "push"), cell(kind, order[i], "pull")
		if (small(order[i], kind))
			note = note sprintf("%s: %d bytes\n", order[i], bytes[kind, order[i]])
	}
	rule()
	if (note)
		print "\n[*] slow, so it moved less:\n" note
	print ""
}

function title(text) {
	print text
	gsub(/./, "=", text)
	print text "\n"
}

function show_settings(	i, f, v) {
	for (i = 1; i <= rows["settings"]; i++) {
		f = row["settings", i]
		sub(/ .*/, "", f)
		v = substr(row["settings", i], length(f) + 2)
		setting[f] = v
		print ":" f ": " v
	}
	print ""
}

function show_about(	i, f) {
	for (i = 1; i <= rows["about"]; i++) {
		split(row["about", i], f, "\t")
		order[++systems] = f[1]
		about[f[1]] = f[2]
	}
}

function show_list(file, what,	i, f) {
	if (!rows[file])
		return
	title(what)
	for (i = 1; i <= rows[file]; i++) {
		split(row[file, i], f, "\t")
		print "* " f[1] (about[f[1]] ? " (" about[f[1]] ")" : "") ": " f[2]
	}
	print ""
}

# All that was run for a system, wherever it was, under its name
function show_commands(	i, j, f, n, seen, first) {
	title("Commands")
	for (i = 1; i <= rows["commands"]; i++) {
		split(row["commands", i], f, "\t")
		if (!(f[1] in seen)) {
			seen[f[1]] = 1
			first[++n] = f[1]
		}
	}
	for (j = 1; j <= n; j++) {
		print first[j] (about[first[j]] ? " (" about[first[j]] ")" : "") "::\n"
		for (i = 1; i <= rows["commands"]; i++) {
			split(row["commands", i], f, "\t")
			if (f[1] == first[j]) {
				gsub(/\v/, "\n    ", f[3])
				print "    " (f[3] ~ /^\(qemu\)/ ? "" : f[2] "# ") f[3]
			}
		}
		print ""
	}
}

# value[NAME]: the median of what was measured once a round
function load_values(file, at,	i, f, n, name, list) {
	for (i = 1; i <= rows[file]; i++) {
		split(row[file, i], f, " ")
		values[f[1]] = values[f[1]] " " f[3]
		names[f[1]] = 1
	}
	for (name in names) {
		n = split(values[name], list, " ")
		value[name] = median(list, n)
	}
	delete values
	delete names
}

function key(name, v) {
	if (v == "")
		return
	printf "%s %s\n", name, v
	keys = keys (keys ? ",\n    " : "\n    ") "\"" name "\": " v
}

function min(a, b) {
	return a < b ? a : b
}

function over(a, b) {
	return b ? sprintf("%.3f", a / b) : ""
}

function show_keys(	i, f, push_peer, pull_peer) {
	push_peer = best_peer("bulk", "push")
	pull_peer = best_peer("bulk", "pull")
	print "best peer: " push_peer " (push), " pull_peer " (pull)\n"
	key("mem_over_memcpy", sprintf("%.3f", min(value["send_user_over_memcpy"],
						   value["receive_user_over_memcpy"])))
	key("push_over_cp", sprintf("%.3f", ratio("bulk", "ivring", "slower", "push")))
	key("pull_over_cp", sprintf("%.3f", ratio("bulk", "ivring", "slower", "pull")))
	if (push_peer)
		key("push_over_best_peer",
		    sprintf("%.3f", ratio("bulk", "ivring", push_peer, "push")))
	if (pull_peer)
		key("pull_over_best_peer",
		    sprintf("%.3f", ratio("bulk", "ivring", pull_peer, "pull")))
	if ((push_peer = best_peer("files", "push")))
		key("files_push_over_best_peer",
		    sprintf("%.3f", ratio("files", "ivring", push_peer, "push")))
	if ((pull_peer = best_peer("files", "pull")))
		key("files_pull_over_best_peer",
		    sprintf("%.3f", ratio("files", "ivring", pull_peer, "pull")))
	key("rtt_spin_over_vsock", over(value["rtt-vsock"] / 1000, value["rtt_user_us"]))
	key("rtt_sleep_over_vsock", over(value["rtt-vsock"] / 1000, value["rtt_calls_sleep_us"]))
	for (i = 1; i <= rows["counts"]; i++) {
		split(row["counts", i], f, " ")
		key(f[1], f[2])
	}
}

function show_rtt(	name) {
	title("Round trips of 64 bytes, microseconds, medians")
	printf "ivring, spinning, indices in user space  %9.1f\n", value["rtt_user_us"]
	printf "ivring, read and write                   %9.1f\n", value["rtt_calls_us"]
	printf "ivring, both sides asleep                %9.1f\n", value["rtt_calls_sleep_us"]
	for (name in value)
		if (name ~ /^rtt-/)
			printf "%-39s  %9.1f\n", substr(name, 5), value[name] / 1000
	print ""
}

function show_memory(	ways, n, i, way) {
	title("ivring, memory to memory")
	n = split("send_user receive_user send_calls receive_calls send_spans receive_spans " \
		  "send_file_user receive_file_user send_file receive_file", ways, " ")
	for (i = 1; i <= n; i++)
		if ((way = ways[i] "_over_memcpy") in value)
			printf "%-30s %8.3f\n", way, value[way]
	print ""
}

function json(	i, sep, f, out) {
	out = dir "/report.json"
	printf "{\n  \"keys\": {%s\n  },\n  \"samples\": [", keys > out
	for (i = 1; i <= rows["samples"]; i++) {
		split(row["samples", i], f, " ")
		printf "%s\n    {\"kind\": \"%s\", \"system\": \"%s\", \"way\": \"%s\", \"round\": %d," \
		       " \"bytes\": %d, \"us\": %d}", sep, f[1], f[2], f[3], f[4], f[5], f[6] > out
		sep = ","
	}
	print "\n  ]\n}" > out
}

BEGIN {
	load("about"); load("commands"); load("counts"); load("failed"); load("memory")
	load("rtt"); load("samples"); load("settings"); load("skipped")
	show_about()
	load_samples()
	load_slower("bulk")
	load_slower("files")
	load_values("memory")
	load_values("rtt")
	title("ivring beside other ways between host and guest")
	show_settings()
	table("bulk", "One file of " setting["bytes"] " bytes, medians of " last " rounds")
	table("files", setting["files"] " files of " setting["file_bytes"] " bytes")
	show_memory()
	show_rtt()
	show_commands()
	show_list("skipped", "Cannot run here")
	show_list("failed", "Failed")
	show_keys()
	json()
}
