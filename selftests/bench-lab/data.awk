# SPDX-License-Identifier: GPL-2.0
#
# What bench.sh measured, from the directory "dir", and what is reckoned from it, for
# text.awk and html.awk.
#
# A ratio is taken within a round, so that what slowed down the machine meanwhile slowed
# down both, and the median of the rounds' ratios counts.

function load(file,	line, n) {
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

# setting[NAME], in the order of setting_names
function load_settings(	i, f) {
	for (i = 1; i <= rows["settings"]; i++) {
		f = row["settings", i]
		sub(/ .*/, "", f)
		setting[f] = substr(row["settings", i], length(f) + 2)
		setting_names[++settings] = f
	}
}

# order[N]: the systems, as they are in all tables
function load_about(	i, f) {
	for (i = 1; i <= rows["about"]; i++) {
		split(row["about", i], f, "\t")
		order[++systems] = f[1]
		about[f[1]] = f[2]
	}
}

# rate[KIND, SYSTEM, WAY, ROUND] in MB/s, bytes[KIND, SYSTEM]
function load_samples(	i, f) {
	for (i = 1; i <= rows["samples"]; i++) {
		split(row["samples", i], f, " ")
		if (!f[6])
			continue
		rate[f[1], f[2], f[3], f[4]] = f[5] / f[6]
		bytes[f[1], f[2]] = f[5]
		if (f[4] + 0 > last)
			last = f[4] + 0
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

# value[NAME], lowest[NAME], highest[NAME]: the median of what was measured once a round,
# and its range
function load_values(file,	i, f, n, name, list, values) {
	for (i = 1; i <= rows[file]; i++) {
		split(row[file, i], f, " ")
		values[f[1]] = values[f[1]] " " f[3]
	}
	for (name in values) {
		n = split(values[name], list, " ")
		value[name] = median(list, n)
		lowest[name] = least(list, n, 1)
		highest[name] = least(list, n, -1)
	}
}

function load_all() {
	load("about"); load("commands"); load("counts"); load("failed"); load("memory")
	load("rtt"); load("samples"); load("settings"); load("skipped"); load("versions")
	load_settings()
	load_about()
	load_samples()
	load_slower("bulk")
	load_slower("files")
	load_values("memory")
	load_values("rtt")
	load_trips()
	load_memory_ways()
	load_keys()
	load_losses()
	load_command_names()
}

# The least of a list, or, with a sign of -1, the most
function least(list, n, sign,	i, best) {
	best = list[1] + 0
	for (i = 2; i <= n; i++)
		if (sign * list[i] < sign * best)
			best = list[i] + 0
	return best
}

# collect(KIND, SYSTEM, WAY): rates into got, in order of rounds; their number
function collect(kind, sys, way,	r, n) {
	split("", got)
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

# The range of all rounds, in percent of the median
function spread(kind, sys, way,	n, m) {
	n = collect(kind, sys, way)
	m = median(got, n)
	return m ? 100 * (least(got, n, -1) - least(got, n, 1)) / m : 0
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
function is_peer(sys) {
	return sys != "cp" && sys !~ /^ivring/
}

function best_peer(kind, way,	i, m, best, top) {
	for (i = 1; i <= systems; i++) {
		if (!is_peer(order[i]))
			continue
		m = med_rate(kind, order[i], way)
		if (m > top) {
			top = m
			best = order[i]
		}
	}
	return best
}

function was_measured(kind,	i, n) {
	for (i = 1; i <= systems; i++)
		n += (kind, order[i]) in measured
	return n + 0
}

function is_small(kind, sys) {
	return (kind, "ivring") in bytes && bytes[kind, sys] < bytes[kind, "ivring"]
}

function what_of(kind) {
	if (kind == "bulk")
		return "One file of " setting["bytes"] " bytes, medians of " last " rounds"
	return setting["files"] " files of " setting["file_bytes"] " bytes, medians of " last " rounds"
}

# trip[N]: names of round trips, fastest first; trip_us, trip_low, trip_high by name
function load_trips(	name) {
	trip_add("ivring, spinning, indices in user space", "rtt_user_us", 1)
	trip_add("ivring, asleep, indices in user space", "rtt_user_sleep_us", 1)
	trip_add("ivring, spinning, read and write", "rtt_calls_us", 1)
	trip_add("ivring, asleep, read and write", "rtt_calls_sleep_us", 1)
	for (name in value)
		if (name ~ /^rtt-/)
			trip_add(substr(name, 5), name, 1000)
}

function trip_add(what, name, unit,	i) {
	if (!(name in value))
		return
	trip_us[what] = value[name] / unit
	trip_low[what] = lowest[name] / unit
	trip_high[what] = highest[name] / unit
	for (i = ++trips; i > 1 && trip_us[trip[i - 1]] > trip_us[what]; i--)
		trip[i] = trip[i - 1]
	trip[i] = what
}

# memory_way[N]: by which ivring moves memory, in order
function load_memory_ways(	i, n, all) {
	n = split("send_user receive_user send_calls receive_calls send_spans receive_spans " \
		  "send_file_user receive_file_user send_file receive_file", all, " ")
	for (i = 1; i <= n; i++)
		if ((all[i] "_over_memcpy") in value)
			memory_way[++memory_ways] = all[i]
}

function min(a, b) {
	return a < b ? a : b
}

function over(a, b) {
	return b ? sprintf("%.3f", a / b) : ""
}

function key_add(name, v) {
	if (v == "")
		return
	key_name[++keys] = name
	key[name] = v
}

function key_ratio(name, kind, way, against) {
	if (against && was_measured(kind))
		key_add(name, sprintf("%.3f", ratio(kind, "ivring", against, way)))
}

function load_keys(	i, f) {
	if ("send_user_over_memcpy" in value)
		key_add("mem_over_memcpy", sprintf("%.3f", min(value["send_user_over_memcpy"],
							     value["receive_user_over_memcpy"])))
	key_ratio("push_over_cp", "bulk", "push", "slower")
	key_ratio("pull_over_cp", "bulk", "pull", "slower")
	key_ratio("push_over_best_peer", "bulk", "push", best_peer("bulk", "push"))
	key_ratio("pull_over_best_peer", "bulk", "pull", best_peer("bulk", "pull"))
	key_ratio("files_push_over_best_peer", "files", "push", best_peer("files", "push"))
	key_ratio("files_pull_over_best_peer", "files", "pull", best_peer("files", "pull"))
	if ("rtt-vsock" in value) {
		key_add("rtt_spin_over_vsock", over(value["rtt-vsock"] / 1000, value["rtt_user_us"]))
		key_add("rtt_sleep_over_vsock", over(value["rtt-vsock"] / 1000,
						     value["rtt_calls_sleep_us"]))
	}
	for (i = 1; i <= rows["counts"]; i++) {
		split(row["counts", i], f, " ")
		key_add(f[1], f[2])
	}
}

# loss[N]: what was faster than ivring, as a line of text
function load_losses(	i) {
	for (i = 1; i <= systems; i++)
		loss_add("bulk", "one file", order[i])
	for (i = 1; i <= systems; i++)
		loss_add("files", "many files", order[i])
	for (i = 1; i <= trips && trip[i] !~ /^ivring/; i++)
		loss[++losses] = sprintf("round trips: %s, %.1f us", trip[i], trip_us[trip[i]])
}

function loss_add(kind, what, sys,	w, ways, r) {
	if (!is_peer(sys))
		return
	split("push pull", ways, " ")
	for (w = 1; w <= 2; w++) {
		r = ratio(kind, sys, "ivring", ways[w])
		if (r > 1)
			loss[++losses] = sprintf("%s, %s: %s, at %.2f times the rate of ivring", what,
						 ways[w], sys, r)
	}
}

# command_of[N]: systems for which something was run, in order of appearance
function load_command_names(	i, f, seen) {
	for (i = 1; i <= rows["commands"]; i++) {
		split(row["commands", i], f, "\t")
		if (!(f[1] in seen)) {
			seen[f[1]] = 1
			command_of[++commands_of] = f[1]
		}
	}
}
