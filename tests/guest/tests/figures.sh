#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --icount --memory 768 --timeout 1200 --add tests/benchmark/lib/measure.sh
# not on the debug kernel: its checkers' instructions would be counted
# What I/O costs beside dm-linear, so that no figure of the benchmark is lost unseen. Time
# counts instructions here: a ratio is the same on every machine, however busy.
. /lib/cowstack-tests/tap.sh
. measure.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
[[ $(uname -r) == 6.1.* ]] || skip_all "what is recorded here is of kernel 6.1"
begin_part
ios=2500
firsts=1000
read=(--rw=randread --bs=4k)
write=(--rw=randwrite --bs=4k)
first=("${write[@]}" --blockalign=64k)

# cost NAME COUNT PATH OPTION…: into costs[NAME]
declare -A costs
cost()
{
	ns=0
	fio_ns "$2" 1 "${@:3}"
	costs[$1]=$ns
}

# is_recorded WORK RATIO: in thousandths; what it was when somebody looked last. More is
# a figure that is being lost; less has to be written down here, to be kept.
is_recorded()
{
	local ratio=$((${costs[$1]} * 1000 / ${costs[linear $1]}))

	diag "$1: ${costs[$1]} ns, dm-linear ${costs[linear $1]} ns"
	check "$1 costs $2 thousandths of dm-linear within 20: $ratio" \
		[ $((ratio > $2 ? ratio - $2 : $2 - ratio)) -le 20 ]
}

make_ssd ssd 128 discard=0
make_ssd base 64 discard=0
make_ssd wide 2048 discard=0
fill /dev/ssd
fill /dev/base

make_linear linear /dev/ssd
cost "linear read" $ios /dev/mapper/linear "${read[@]}"
cost "linear rewrite" $ios /dev/mapper/linear "${write[@]}"
cost "linear first-write" $firsts /dev/mapper/linear "${first[@]}"
for work in read-base read-base-64 read-layer; do
	costs[linear $work]=${costs[linear read]}
done
remove_devices linear

make_store store /dev/ssd
make_stack volume store 1 /dev/base
cost read-base $ios /dev/mapper/volume "${read[@]}"
add_layers volume 63
cost read-base-64 $ios /dev/mapper/volume "${read[@]}"
fill /dev/mapper/volume
cost read-layer $ios /dev/mapper/volume "${read[@]}"
cost rewrite $ios /dev/mapper/volume "${write[@]}"
delete_stack volume store 1
make_stack volume store 2 /dev/wide
cost first-write $firsts /dev/mapper/volume "${first[@]}"
remove_devices volume store

is_recorded read-base 1025
is_recorded read-base-64 1025
is_recorded read-layer 1038
is_recorded rewrite 1019
is_recorded first-write 1082
done_testing
