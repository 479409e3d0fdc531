# SPDX-License-Identifier: GPL-2.0
#
# With data.awk: one page that needs no other file, on stdout. The pictures are there
# already, or they are left out.

function escape(text) {
	gsub(/&/, "\\&amp;", text)
	gsub(/</, "\\&lt;", text)
	gsub(/>/, "\\&gt;", text)
	gsub(/"/, "\\&quot;", text)
	return text
}

function heading(text) {
	print "<h2>" escape(text) "</h2>"
}

# What is above the picture in its file is not for the middle of a page.
function picture(name,	line, file, inside) {
	file = dir "/" name ".svg"
	while ((getline line < file) > 0) {
		if (!inside && !(inside = line ~ /<svg/))
			continue
		if (inside == 1)
			print "<figure>"
		inside = 2
		print own_names(name, line)
	}
	if (inside)
		print "</figure>"
	close(file)
}

# Names of elements are those of the whole page.
function own_names(name, line) {
	gsub(/id="/, "&" name "-", line)
	gsub(/id='/, "&" name "-", line)
	gsub(/url\(#/, "&" name "-", line)
	gsub(/href=.#/, "&" name "-", line)
	return line
}

function cells(kind, sys, way,	m) {
	m = med_rate(kind, sys, way)
	if (!m)
		return "<td>-</td><td>-</td><td>-</td>"
	return sprintf("<td>%.1f</td><td>%.0f %%</td><td>%.3f</td>", m, spread(kind, sys, way),
		       ratio(kind, sys, "slower", way))
}

function table(kind,	i, sys, note) {
	if (!was_measured(kind))
		return
	heading(what_of(kind))
	picture(kind)
	print "<table><tr><th></th><th>push MB/s</th><th>spread</th><th>over cp</th>" \
	      "<th>pull MB/s</th><th>spread</th><th>over cp</th></tr>"
	for (i = 1; i <= systems; i++) {
		sys = order[i]
		if (!((kind, sys) in measured))
			continue
		note = is_small(kind, sys) ? sprintf(" <small>%d bytes only</small>", bytes[kind, sys]) : ""
		print "<tr" (sys ~ /^ivring/ ? " class=own" : "") "><th>" escape(sys) note "<br><small>" \
		      escape(about[sys]) "</small></th>" cells(kind, sys, "push") cells(kind, sys, "pull") \
		      "</tr>"
	}
	print "</table>"
}

function pairs(what, count, names, list,	i) {
	heading(what)
	print "<table>"
	for (i = 1; i <= count; i++)
		print "<tr><th>" escape(names[i]) "</th><td class=text>" escape(list[names[i]]) "</td></tr>"
	print "</table>"
}

function listed(file, what,	i, f) {
	if (!rows[file])
		return
	heading(what)
	print "<table>"
	for (i = 1; i <= rows[file]; i++) {
		split(row[file, i], f, "\t")
		print "<tr><th>" escape(f[1]) "<br><small>" escape(about[f[1]]) \
		      "</small></th><td class=text>" escape(f[2]) "</td></tr>"
	}
	print "</table>"
}

function trips_table(	i) {
	if (!trips)
		return
	heading("Round trips of 64 bytes, microseconds")
	picture("rtt")
	print "<table><tr><th></th><th>median of the rounds</th><th>least</th><th>most</th></tr>"
	for (i = 1; i <= trips; i++)
		printf "<tr%s><th>%s</th><td>%.1f</td><td>%.1f</td><td>%.1f</td></tr>\n",
		       trip[i] ~ /^ivring/ ? " class=own" : "", escape(trip[i]), trip_us[trip[i]],
		       trip_low[trip[i]], trip_high[trip[i]]
	print "</table>"
}

function memory_table(	i, name) {
	if (!memory_ways)
		return
	heading("ivring, memory to memory")
	print "<table><tr><th></th><th>over memcpy</th><th>doorbells per GiB</th>" \
	      "<th>calls per GiB</th></tr>"
	for (i = 1; i <= memory_ways; i++) {
		name = memory_way[i]
		printf "<tr><th>%s</th><td>%.3f</td><td>%.1f</td><td>%.0f</td></tr>\n", name,
		       value[name "_over_memcpy"], value[name "_doorbells_per_gib"],
		       value[name "_calls_per_gib"]
	}
	print "</table>"
}

function loss_list(	i) {
	heading("What was faster than ivring")
	print "<ul>"
	for (i = 1; i <= losses; i++)
		print "<li>" escape(loss[i]) "</li>"
	if (!losses)
		print "<li>nothing, in this run</li>"
	print "</ul>"
}

function command_list(	i, j, f, sys) {
	heading("Commands")
	for (j = 1; j <= commands_of; j++) {
		sys = command_of[j]
		print "<details><summary><b>" escape(sys) "</b> " escape(about[sys]) "</summary><pre>"
		for (i = 1; i <= rows["commands"]; i++) {
			split(row["commands", i], f, "\t")
			if (f[1] == sys) {
				gsub(/\v/, "\n", f[3])
				print escape((f[3] ~ /^\(qemu\)/ ? "" : f[2] "# ") f[3])
			}
		}
		print "</pre></details>"
	}
}

function head() {
	print "<!DOCTYPE html>\n<!-- SPDX-License-Identifier: GPL-2.0 -->"
	print "<html lang=en><head><meta charset=utf-8>"
	print "<meta name=viewport content='width=device-width'>"
	print "<title>ivring beside other ways between host and guest</title><style>"
	print "body { font: 15px/1.4 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }"
	print "table { border-collapse: collapse; } td, th { padding: .2em .6em; text-align: right;"
	print " border-bottom: 1px solid #ddd; vertical-align: top; } th:first-child, td.text {"
	print " text-align: left; font-weight: normal; } td.text { overflow-wrap: anywhere; }"
	print "tr.own { background: #eef5ff; } small { color: #666; } figure { margin: 1em 0; }"
	print "figure svg { max-width: 100%; height: auto; } pre { white-space: pre-wrap;"
	print " overflow-wrap: anywhere; background: #f6f6f6; padding: .6em; }"
	print "</style></head><body><h1>ivring beside other ways between host and guest</h1>"
	print "<p>Rates are medians over the rounds, in 1,000,000 bytes per second; <i>spread</i> is"
	print "the range of all rounds; <i>over cp</i> is the median of the rounds' ratios to the"
	print "slower <code>cp</code> of the same round. Ratios compare well between runs and machines,"
	print "absolute rates do not. What was measured and how:"
	print "<code>Documentation/bench-lab.rst</code>.</p>"
}

BEGIN {
	load_all()
	head()
	pairs("The run", settings, setting_names, setting)
	pairs("Keys", keys, key_name, key)
	table("bulk")
	table("files")
	memory_table()
	trips_table()
	loss_list()
	listed("skipped", "Cannot run here")
	listed("failed", "Failed")
	listed("versions", "Versions")
	command_list()
	print "</body></html>"
}
