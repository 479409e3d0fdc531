# SPDX-License-Identifier: GPL-2.0
#
# With data.awk: report.txt, report.json, what plot.gp draws (*.dat), and the parts that
# the template of Documentation/benchmarks.rst asks for (rst/*), and ratios for "compare".

function rule() {
	print "===================  =========  =======  =========  =========  =======  =========" >to
}

function cell(kind, sys, way,	m) {
	m = med_rate(kind, sys, way)
	if (!m)
		return sprintf("%9s  %7s  %9s", "--", "--", "--")
	return sprintf("%9.1f  %6.0f%%  %9.3f", m, spread(kind, sys, way),
		       ratio(kind, sys, "slower", way))
}

function table(kind,	i, note) {
	if (!was_measured(kind))
		return
	print what_of(kind) "\n" >to
	rule()
	printf "%-19s  %9s  %7s  %9s  %9s  %7s  %9s\n", "", "push MB/s", "spread", "over cp",
	       "pull MB/s", "spread", "over cp" >to
	rule()
	for (i = 1; i <= systems; i++) {
		if (!((kind, order[i]) in measured))
			continue
		printf "%-19s  %s  %s\n", order[i] (is_small(kind, order[i]) ? " [*]" : ""),
		       cell(kind, order[i], "push"), cell(kind, order[i], "pull") >to
		if (is_small(kind, order[i]))
			note = note sprintf("* %s: %d bytes\n", order[i], bytes[kind, order[i]])
	}
	rule()
	if (note)
		print "\n[*] slow, so it moved less:\n\n" note >to
	print "" >to
}

function title(text) {
	print text >to
	gsub(/./, "=", text)
	print text "\n" >to
}

# What a person wrote must not be taken for markup.
function plain(text) {
	gsub(/[\\*`|_]/, "\\\\&", text)
	return text
}

function show_settings(	i) {
	for (i = 1; i <= settings; i++)
		print ":" setting_names[i] ": " plain(setting[setting_names[i]]) >to
	print "" >to
}

function show_list(file, always,	i, f) {
	if (!rows[file] && always)
		print always >to
	for (i = 1; i <= rows[file]; i++) {
		split(row[file, i], f, "\t")
		print "* " f[1] (about[f[1]] ? " (" plain(about[f[1]]) ")" : "") ": " plain(f[2]) >to
	}
	print "" >to
}

function show_titled(file, what) {
	if (!rows[file])
		return
	title(what)
	show_list(file)
}

# All that was run for a system, wherever it was, under its name
function show_commands(	i, j, f, sys) {
	for (j = 1; j <= commands_of; j++) {
		sys = command_of[j]
		print sys (about[sys] ? " (" plain(about[sys]) ")" : "") "::\n" >to
		for (i = 1; i <= rows["commands"]; i++) {
			split(row["commands", i], f, "\t")
			if (f[1] == sys) {
				gsub(/\v/, "\n    ", f[3])
				print "    " (f[3] ~ /^\(qemu\)/ ? "" : f[2] "# ") f[3] >to
			}
		}
		print "" >to
	}
}

function show_keys(	i) {
	for (i = 1; i <= keys; i++)
		print key_name[i], key[key_name[i]] >to
}

function show_best(	push, pull) {
	push = best_peer("bulk", "push")
	pull = best_peer("bulk", "pull")
	print "best peer: " (push ? push : "none") " (push), " (pull ? pull : "none") " (pull)\n" >to
}

function show_rtt(	i, bar) {
	bar = "=======================================  =========  =========  ========="
	print bar >to
	printf "%-39s  %9s  %9s  %9s\n", "64 bytes there and back, us", "median", "least", "most" >to
	print bar >to
	for (i = 1; i <= trips; i++)
		printf "%-39s  %9.1f  %9.1f  %9.1f\n", trip[i], trip_us[trip[i]], trip_low[trip[i]],
		       trip_high[trip[i]] >to
	print bar "\n" >to
}

function show_memory(	i, name, bar) {
	bar = "=============================  ===========  =============  ========="
	print bar >to
	printf "%-29s  %11s  %13s  %9s\n", "way", "over memcpy", "doorbells/GiB", "calls/GiB" >to
	print bar >to
	for (i = 1; i <= memory_ways; i++) {
		name = memory_way[i]
		printf "%-29s  %11.3f  %13.1f  %9.0f\n", name, value[name "_over_memcpy"],
		       value[name "_doorbells_per_gib"], value[name "_calls_per_gib"] >to
	}
	print bar "\n" >to
}

function show_losses(	i) {
	for (i = 1; i <= losses; i++)
		print "* " loss[i] >to
	if (!losses)
		print "In this run: nowhere." >to
	print "" >to
}

function report() {
	to = dir "/report.txt"
	title("ivring beside other ways between host and guest")
	show_settings()
	table("bulk")
	table("files")
	if (memory_ways) {
		title("ivring, memory to memory")
		show_memory()
	}
	if (trips) {
		title("Round trips")
		show_rtt()
	}
	title("What was faster than ivring")
	show_losses()
	show_titled("versions", "Versions")
	title("Commands")
	show_commands()
	show_titled("skipped", "Cannot run here")
	show_titled("failed", "Failed")
	show_best()
	show_keys()
	close(to)
}

# --- the parts of a document ------------------------------------------------

function part(name) {
	to = dir "/rst/" name
	printf "" >to
}

# A picture that was not made is not asked for.
function figure(name, what) {
	print ".. image:: benchmarks/" name ".svg" >to
	print "   :alt: " what "\n" >to
}

function parts() {
	part("settings"); show_settings(); close(to)
	part("versions"); show_list("versions", "Not known."); close(to)
	part("bulk"); table("bulk")
	if (was_measured("bulk"))
		figure("bulk", "rates of one file, both ways, of all systems")
	close(to)
	part("files"); table("files")
	if (was_measured("files"))
		figure("files", "rates of many files, both ways")
	else
		print "Not measured.\n" >to
	close(to)
	part("memory"); show_memory(); close(to)
	part("rtt"); show_rtt()
	if (trips)
		figure("rtt", "round trips of 64 bytes")
	close(to)
	part("losses"); show_losses(); close(to)
	part("commands"); show_commands(); close(to)
	part("skipped"); show_list("skipped", "Nothing: all could run."); close(to)
	part("failed"); show_list("failed", "Nothing."); close(to)
	part("keys"); print "::\n" >to
	indented_keys(); close(to)
}

function indented_keys(	i) {
	for (i = 1; i <= keys; i++)
		print "    " key_name[i], key[key_name[i]] >to
	print "" >to
}

# --- what pictures are made of ----------------------------------------------

# One line each: its place, name, and median, least and most of push and of pull
function dat(kind,	i, j, n, sorted, sys) {
	to = dir "/" kind ".dat"
	printf "" >to
	for (i = 1; i <= systems; i++) {
		sys = order[i]
		if (!((kind, sys) in measured))
			continue
		for (j = ++n; j > 1 && top_rate(kind, sorted[j - 1]) > top_rate(kind, sys); j--)
			sorted[j] = sorted[j - 1]
		sorted[j] = sys
	}
	for (i = 1; i <= n; i++)
		print i, sorted[i] (is_small(kind, sorted[i]) ? "*" : ""),
		      range(kind, sorted[i], "push"), range(kind, sorted[i], "pull") >to
	close(to)
}

function top_rate(kind, sys) {
	return -min(-med_rate(kind, sys, "push"), -med_rate(kind, sys, "pull"))
}

function range(kind, sys, way,	n) {
	n = collect(kind, sys, way)
	if (!n)
		return "NaN NaN NaN"
	return sprintf("%.3f %.3f %.3f", median(got, n), least(got, n, 1), least(got, n, -1))
}

function dat_rtt(	i) {
	to = dir "/rtt.dat"
	printf "" >to
	for (i = 1; i <= trips; i++)
		printf "%d \"%s\" %.3f %.3f %.3f\n", trips + 1 - i, trip[i], trip_us[trip[i]],
		       trip_low[trip[i]], trip_high[trip[i]] >to
	close(to)
}

# What two runs of the table must agree in: ratios, by name
function ratios(	i, w, k, kinds, ways) {
	to = dir "/ratios"
	printf "" >to
	split("bulk files", kinds, " ")
	split("push pull", ways, " ")
	for (k = 1; k <= 2; k++)
		for (i = 1; i <= systems; i++)
			for (w = 1; w <= 2; w++)
				if (order[i] != "cp" && collect(kinds[k], order[i], ways[w]))
					printf "%s/%s/%s %.4f\n", kinds[k], order[i], ways[w],
					       ratio(kinds[k], order[i], "slower", ways[w]) >to
	for (i = 1; i <= keys; i++)
		if (key_name[i] ~ /_over_/)
			print key_name[i], key[key_name[i]] >to
	close(to)
}

# --- for programs -----------------------------------------------------------

function quote(text) {
	gsub(/[\\"]/, "\\\\&", text)
	gsub(/\t/, "\\t", text)
	gsub(/\v/, "\\n", text)
	gsub(/[\001-\037]/, "?", text)
	return "\"" text "\""
}

function json_settings(	i) {
	printf "  \"settings\": {" >to
	for (i = 1; i <= settings; i++)
		printf "%s\n    %s: %s", (i > 1 ? "," : ""), quote(setting_names[i]),
		       quote(setting[setting_names[i]]) >to
	print "\n  }," >to
}

function json_keys(	i) {
	printf "  \"keys\": {" >to
	for (i = 1; i <= keys; i++)
		printf "%s\n    \"%s\": %s", (i > 1 ? "," : ""), key_name[i], key[key_name[i]] >to
	print "\n  }," >to
}

function json_rows(file,	i, f) {
	printf "  \"%s\": [", file >to
	for (i = 1; i <= rows[file]; i++) {
		split(row[file, i], f, "\t")
		printf "%s\n    [%s, %s]", (i > 1 ? "," : ""), quote(f[1]), quote(f[2]) >to
	}
	print "\n  ]," >to
}

function json_table(	i, w, k, kinds, ways, sys, sep) {
	split("bulk files", kinds, " ")
	split("push pull", ways, " ")
	printf "  \"table\": [" >to
	for (k = 1; k <= 2; k++)
		for (i = 1; i <= systems; i++)
			for (w = 1; w <= 2; w++) {
				sys = order[i]
				if (!collect(kinds[k], sys, ways[w]))
					continue
				printf "%s\n    {\"kind\": \"%s\", \"system\": %s, \"way\": \"%s\"," \
				       " \"mbps\": %.3f, \"spread\": %.4f, \"over_cp\": %.4f}", sep,
				       kinds[k], quote(sys), ways[w], med_rate(kinds[k], sys, ways[w]),
				       spread(kinds[k], sys, ways[w]) / 100,
				       ratio(kinds[k], sys, "slower", ways[w]) >to
				sep = ","
			}
	print "\n  ]," >to
}

function json(	i, sep, f) {
	to = dir "/report.json"
	print "{" >to
	json_settings()
	json_keys()
	json_rows("about")
	json_rows("versions")
	json_rows("skipped")
	json_rows("failed")
	json_table()
	printf "  \"samples\": [" >to
	for (i = 1; i <= rows["samples"]; i++) {
		split(row["samples", i], f, " ")
		printf "%s\n    {\"kind\": \"%s\", \"system\": \"%s\", \"way\": \"%s\", \"round\": %d," \
		       " \"bytes\": %s, \"us\": %s}", sep, f[1], f[2], f[3], f[4], f[5], f[6] >to
		sep = ","
	}
	print "\n  ]\n}" >to
	close(to)
}

BEGIN {
	load_all()
	report()
	parts()
	dat("bulk")
	dat("files")
	dat_rtt()
	ratios()
	json()
}
