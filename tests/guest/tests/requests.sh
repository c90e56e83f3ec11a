#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --cpus 1 --add tests/crash/build/direct_io
# kernels: all
# Exactly which requests reach the disks.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/tracing.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
modprobe null_blk nr_devices=0

MiB=1048576

# make_disk NAME MEBIBYTES
make_disk()
{
	local disk=/sys/kernel/config/nullb/$1

	mkdir "$disk"
	echo "$2" >"$disk/size"
	echo 1 >"$disk/memory_backed"
	echo 1 >"$disk/discard"
	# More than there is to cache: where null_blk must make room it may go round for ever.
	echo 1024 >"$disk/cache_size"
	echo 1 >"$disk/power"
}

# requests OPERATION…: on the stack, with nothing left to be made durable before;
# prints what came to the disks from the first "=" to the second.
requests()
{
	direct_io /dev/mapper/volume ssd hdd -- s = "$@" = | tail -n 2
}

# statistic KEY: of the store's status
statistic()
{
	dmsetup status store | sed "s/.* $1 \([0-9]*\).*/\1/"
}

# flushes_in WHAT-CAME: those of the store's disk
flushes_in()
{
	sed -n 's/^ssd .* flushes \([0-9]*\) .*/\1/p' <<<"$1"
}

# writes_bring WANTED TEXT OPERATION…: what comes to the disks. A place that begins with "+" is
# in chunks that nobody has written. What was written becomes durable each second, whoever
# asks for it: where the step or the flush for that came just then, it is done once more, such
# places being elsewhere then.
writes_bring()
{
	local wanted=$1 text=$2 try word rest operations asked got
	shift 2

	for try in 1 2 3 4 5; do
		next=$((next + MiB / 2))
		operations=()
		asked=0
		for word in "$@"; do
			case $word in
			w:+*)
				rest=${word#w:+}
				word=w:$((next + ${rest%%:*})):${rest#*:}
				places=$((places + 1))
				;;
			s) asked=$((asked + 1)) ;;
			esac
			operations+=("$word")
		done
		got=$(requests "${operations[@]}")
		[ "$got" != "$wanted" ] && [ "$(flushes_in "$got")" -gt "$asked" ] || break
		diag "try $try: a flush that nobody asked for came meanwhile"
	done
	is "$got" "$wanted" "$text"
}

make_disk ssd 256
make_disk hdd 256
# Both kinds of scheduler: one sorts, the other takes requests as they come.
[ -z "${1:-}" ] || echo "$1" >/sys/block/hdd/queue/scheduler
check "a store is formatted" dmcommit format /dev/ssd
check "it comes up" dmsetup create store --table \
	"0 $(blockdev --getsz /dev/ssd) cowstore /dev/ssd"
dmsetup message store 0 "create_volume 1 $((256 * 2048)) volume"
check "a stack comes up" dmsetup create volume --table \
	"0 $((256 * 2048)) cowstack /dev/hdd /dev/mapper/store 1"

nothing="reads 0 writes 0 written 0 flushes 0 discards 0"
one_write="reads 0 writes 1 written 4096 flushes 0 discards 0"

next=$((4 * MiB))
places=0
writes_bring "ssd $one_write
hdd $nothing" "a first write of 4 KiB is one write, no flush, no read, nothing at the base" \
	w:+0:4096
writes_bring "ssd $one_write
hdd $nothing" "so is a rewrite" w:$next:4096
writes_bring "ssd reads 0 writes 2 written 8192 flushes 1 discards 0
hdd $nothing" "a first write with fdatasync: one write of data, one of metadata, one flush" \
	w:+0:4096 s
# The kernel counts an empty flush as a write too, one of no bytes.
writes_bring "$(direct_io /dev/hdd hdd -- w:0:4096 s = | sed s/hdd/ssd/)
hdd $nothing" "a rewrite with fdatasync: what the disk alone would get, no metadata" \
	w:$next:4096 s
writes_bring "ssd reads 0 writes 4 written $((4096 + 65536 + 4096 + 4096)) flushes 1 discards 0
hdd $nothing" "one metadata write for all that was written before" \
	w:+0:4096 w:+131072:65536 w:+262144:4096 s

alone=$(direct_io /dev/hdd hdd -- r:$((64 * MiB)):$MiB =)
is "$(requests r:$((64 * MiB)):$MiB)" "ssd $nothing
$alone" "1 MiB of untouched base is read by the requests that the base alone would get"
direct_io /dev/mapper/volume -- w:$((next + 4096)):4096 s
is "$(requests r:$next:8192)" \
	"ssd reads 1 writes 0 written 0 flushes 0 discards 0
hdd $nothing" "what lies side by side in the store is one read"

# --- a commit ---

# Runs of chunks: from 64 KiB to 1 MiB, with holes between; 112 MiB in all.
write_runs()
{
	local at=$((16 * MiB)) bytes i operations=()

	for ((i = 0; i < 210; i++)); do
		bytes=$(((1 + i * 7 % 16) * 65536))
		operations+=("w:$at:$bytes")
		at=$((at + bytes + (1 + i % 3) * 65536))
	done
	direct_io /dev/mapper/volume -- "${operations[@]}" s
	runs=$i
}

# Prints "DISK RWBS SECTOR COUNT" of each request, in order.
traced_requests()
{
	local ssd hdd

	end_tracing
	ssd=$(tr : , </sys/block/ssd/dev)
	hdd=$(tr : , </sys/block/hdd/dev)
	sed -n 's/.*block_rq_issue: \([0-9,]*\) \([A-Z]*\) [0-9]* () \([0-9]*\) + \([0-9]*\) .*/\1 \2 \3 \4/p' \
		$tracing/trace |
		sed -e "s/^$ssd /ssd /" -e "s/^$hdd /hdd /"
}

write_runs
begin_tracing 32768 block/block_rq_issue
check "a commit starts" dmsetup message volume 0 commit start
for ((i = 0; i < 600; i++)); do
	[[ $(dmsetup status volume) != *" running commit "* ]] && break
	sleep 0.1
done
like "$(dmsetup status volume)" ' valid completed commit ' "it completes"
for ((i = 0; i < 600; i++)); do
	[ "$(statistic freeing)" -ne 0 ] || break
	sleep 0.1
done
traced_requests >/tmp/requests

read -r order writes < <(awk -v limit="$(cat /sys/block/hdd/queue/max_sectors_kb)" '
	$1 == "hdd" && $2 ~ /W/ {
		if ($3 < end)
			backwards++
		end = $3 + $4
		count++
	}
	END { print backwards + 0, count + 0 }' /tmp/requests)
# What the checks above left are some runs more.
limit=$(cat /sys/block/hdd/queue/max_sectors_kb)
segments=$(($(cat /sys/block/hdd/queue/max_segments) * 4))
[ "$segments" -ge "$limit" ] || limit=$segments
least=$(awk -v runs="$runs" -v limit="$limit" -v count="$places" 'BEGIN {
	for (i = 0; i < runs; i++) {
		kib = (1 + i * 7 % 16) * 64
		count += int((kib + limit - 1) / limit)
	}
	print count }')
is "$order" 0 "its writes to the base are strictly ascending"
diag "$writes writes for $runs runs, $least with none longer than $limit KiB"
check "there are no more than 1.05 times the runs, as the disk's limit cuts them" \
	[ $((writes * 100)) -le $((least * 105)) ]
is "$(awk '$1 == "hdd" && $2 ~ /R/' /tmp/requests | wc -l)" 0 \
	"and nothing is read from the base, not even its sample"
# How much had been read from the store when room was first given back.
first=$(awk '
	$1 == "ssd" && $2 ~ /^D/ { seen = 1; print int(moved / 2048); exit }
	$1 == "ssd" && $2 ~ /^R/ { moved += $4 }
	END { if (!seen) print "never" }' /tmp/requests)
diag "the first discard came after $first MiB"
check "room is given back from the first 64 MiB on" [ "$first" -le 64 ]
is "$(awk '$1 == "ssd" && $2 ~ /^D/ { n += $4 } END { print n / 128 }' /tmp/requests)" \
	"$(dmsetup status store | sed 's/.* discarded \([0-9]*\).*/\1/')" \
	"and all of it, as the status says"
dmsetup remove volume
dmsetup remove store
done_testing
