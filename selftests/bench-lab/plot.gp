# SPDX-License-Identifier: GPL-2.0
#
# gnuplot -e "dir='build/bench-lab'" plot.gp: what text.awk left in dir as pictures there.
# What was not measured is left out. Names of elements differ between the pictures, which
# share a page.

has(name) = system("[ -s '".dir."/".name.".dat' ] && echo 1 || echo 0") + 0
dat(name) = dir."/".name.".dat"
lines(name) = system("wc -l <'".dat(name)."'") + 0

# --- rates: two bars for each system, the fastest at the top

push_colour = "#2a6fbb"
pull_colour = "#e0913a"
set style fill solid 0.85 noborder
set grid x
set xrange [0:*]
set xlabel "MB/s, median and range"
set key outside top center horizontal
set ytics scale 0
set offsets 0, graph 0.08, 0, 0
do for [name in "bulk files"] {
	if (has(name)) {
		set terminal svg size 800,(120 + 34 * lines(name)) dynamic font "sans,13" \
			background "white" name name
		set output dir."/".name.".svg"
		set title name eq "bulk" ? "One file" : "Many files"
		set yrange [0.4:lines(name) + 0.6]
		plot dat(name) using (0):($1 + 0.2):(0):3:($1 + 0.03):($1 + 0.37):ytic(2) \
			with boxxyerror lc rgb push_colour title "push: host to guest", \
		     dat(name) using (0):($1 - 0.2):(0):6:($1 - 0.37):($1 - 0.03) \
			with boxxyerror lc rgb pull_colour title "pull: guest to host", \
		     dat(name) using 3:($1 + 0.2):4:5 with xerrorbars pt 0 lc "black" notitle, \
		     dat(name) using 6:($1 - 0.2):7:8 with xerrorbars pt 0 lc "black" notitle, \
		     dat(name) using 5:($1 + 0.2):(sprintf(" %.1f", $3)) with labels left \
			font ",10" notitle, \
		     dat(name) using 8:($1 - 0.2):(sprintf(" %.1f", $6)) with labels left \
			font ",10" notitle
	}
}

# --- round trips: points, since bars have no foot on such a scale

if (has("rtt")) {
	set terminal svg size 800,(120 + 30 * lines("rtt")) dynamic font "sans,13" \
		background "white" name "rtt"
	set output dir."/rtt.svg"
	set title "Round trips of 64 bytes"
	set logscale x
	set xrange [*:*]
	set xlabel "us, median and range"
	set yrange [0.4:lines("rtt") + 0.6]
	unset key
	plot dat("rtt") using 3:1:4:5:ytic(2) with xerrorbars pt 7 lw 2 lc rgb push_colour, \
	     dat("rtt") using 5:1:(sprintf("  %.1f", $3)) with labels left font ",10"
}
