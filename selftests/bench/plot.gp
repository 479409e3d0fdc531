# SPDX-License-Identifier: GPL-2.0
#
# gnuplot -e "dir='build/bench'" plot.gp: the results in dir as pictures there.
# What was not measured is left out.

set terminal svg size 800,500 dynamic font "sans,13" background "white"
set grid
set key bottom right

has(name) = system("[ -s '".dir."/".name.".dat' ] && echo 1 || echo 0") + 0
dat(name) = dir."/".name.".dat"

set logscale x 2
set xtics format "%.0f"
set yrange [0:*]
set ylabel "GB/s, median and range"
set y2label "part of memcpy"
set y2range [0:*]
set y2tics
set ytics nomirror
do for [name in "window chunk ring"] {
	if (has(name)) {
		set output dir."/sweep-".name.".svg"
		set title "Memory to memory, two processes"
		set xlabel name.", KiB"
		plot dat(name) using 1:2:3:4 with yerrorlines lw 2 title "through the ring", \
		     dat(name) using 1:5 axes x1y2 with lines dt 2 lw 2 title "part of memcpy"
	}
}
unset y2label
unset y2tics
unset logscale x
set ytics mirror

set logscale xy
set xrange [1:1e-5]
set yrange [*:*]
set xlabel "part of all round trips that take longer"
set ylabel "ns"
set xtics format "10^{%L}"
set key below
label(name) = name eq "rtt_cacheline" ? "bare cache line" : \
	name eq "rtt_cacheline_pause" ? "bare cache line, with pause" : \
	name eq "rtt_lines" ? "bare lines of index and data" : \
	name eq "rtt_bytes" ? "ring, 64 bytes, spinning" : \
	name eq "rtt_message" ? "ring, message of 64 bytes, spinning" : \
	name eq "rtt_eventfd" ? "bare eventfds" : \
	name eq "rtt_sleep" ? "ring, sleeping" : "ring, spinning adaptively"
all = "rtt_cacheline rtt_cacheline_pause rtt_lines rtt_bytes rtt_message rtt_eventfd rtt_sleep rtt_adaptive"
there = ""
do for [name in all] {
	if (has(name)) { there = there." ".name }
}
if (words(there)) {
	set output dir."/latency.svg"
	set title "Round trip of 64 bytes"
	plot for [name in there] dat(name) using 1:2 with lines lw 2 title label(name)
}

if (has("rate")) {
	reset
	set grid y
	set output dir."/rate.svg"
	set title "Messages of 64 bytes per second"
	set style fill solid 0.6
	set boxwidth 0.6
	set logscale y
	set ylabel "million per second"
	set xtics rotate by -25
	unset key
	plot dat("rate") using 0:2:xtic(1) with boxes, \
	     dat("rate") using 0:2:3:4 with yerrorbars lw 2 lc "black"
}
