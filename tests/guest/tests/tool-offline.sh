#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 512 --cpus 1 --timeout 300
# dmcommit start --offline and the module take each other's unfinished commits up; what
# offline commands refuse of devices in use; a store that was dumped and restored comes up.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/json.sh
. /lib/cowstack-tests/tool.sh

sum_of()
{
	sha256sum <"$1" | cut -d' ' -f1
}

# is_refused TEXT COMMAND…: with status 4
is_refused()
{
	local status=0

	"${@:2}" >/dev/null 2>/tmp/error || status=$?
	is "$status" 4 "$1"
	[ "$status" -eq 4 ] || diag "$(cat /tmp/error)"
}

modprobe dm-cowstack
make_disk hdd 32
make_disk ssd 48
dd if=/dev/urandom of=/dev/hdd bs=1M oflag=direct 2>/dev/null
dmcommit format /dev/ssd --name st
dmcommit create vm --base /dev/hdd --store /dev/ssd
fill()
{
	dd if=/dev/urandom of=/dev/mapper/vm bs=64K count=60 seek="$1" oflag=direct conv=fsync 2>/dev/null
}
fill 10
dmcommit snapshot vm
fill 150
blkdiscard -z -o 20971520 -l 1048576 /dev/mapper/vm
wanted=$(sum_of /dev/mapper/vm)
offline=(dmcommit start vm --offline --store /dev/ssd --base /dev/hdd)

is_refused "offline: the store is in use" "${offline[@]}"
is_refused "dump: the store is in use" dmcommit dump /dev/ssd
is_refused "repair: the store is in use" dmcommit check /dev/ssd --repair --yes
dmcommit down vm
dmcommit detach st

# kill_in_the_middle: of what was started last. When it comes to wait its job is recorded.
kill_in_the_middle()
{
	check "it is at work" await is_waiting $!
	sleep 1
	kill -9 $!
	wait $! 2>/dev/null
}

# Killed in the middle; the module goes on.
"${offline[@]}" --speed 256K >/dev/null 2>&1 &
kill_in_the_middle
is "$(dmcommit dump /dev/ssd | sed -n 's/^job kind=commit state=\([a-z]*\) .*/\1/p')" running \
	"an offline commit that was killed is recorded as running"
check "up again" dmcommit up vm --base /dev/hdd --store /dev/ssd
is "$(sum_of /dev/mapper/vm)" "$wanted" "the volume shows the same"
check "it may go faster" dmcommit speed vm 0
is "$(wait_for_job vm)" completed "the module takes it to its end"
is "$(sum_of /dev/mapper/vm)" "$wanted" "and it shows the same"
is "$(status_field vm 6)" valid "the base is valid"
is "$(sum_of /dev/hdd)" "$wanted" "and alone the same"

# And the other way round.
fill 250
wanted=$(sum_of /dev/mapper/vm)
dmcommit start vm --speed 64K
check "a part of it is done" await has_moved vm
is "$(status_field vm 7)" running "a commit runs"
dmcommit down vm
is_refused "offline: the store is attached" "${offline[@]}"
dmcommit detach st
check "offline it goes on" "${offline[@]}" --speed 0
is "$(sum_of /dev/hdd)" "$wanted" "the base alone shows the same"
check "dumped" dmcommit dump /dev/ssd --output /tmp/dump
dd if=/dev/zero of=/dev/ssd bs=4096 count=17 oflag=direct 2>/dev/null
check "restored" dmcommit restore /dev/ssd --from /tmp/dump
check "up once more" dmcommit up vm --base /dev/hdd --store /dev/ssd
is "$(sum_of /dev/mapper/vm)" "$wanted" "the volume shows the same"
fill 350
wanted=$(sum_of /dev/mapper/vm)
is_refused "offline: the base is in use" "${offline[@]}"
check "an online commit" dmcommit start vm --wait
is "$(sum_of /dev/hdd)" "$wanted" "ends in what was written"

# Into a layer: to its end, and killed in the middle.
newest()
{
	dmsetup message vm 0 layers | awk '$7 == "frozen" && $1 > newest { newest = $1 } END { print newest }'
}
dd if=/dev/urandom of=/dev/mapper/vm bs=64K count=200 seek=20 oflag=direct conv=fsync 2>/dev/null
dmcommit snapshot vm
lower=$(newest)
fill 50
dmcommit snapshot vm
upper=$(newest)
# 4K of each chunk, whose rest has to be copied.
fio --name=pieces --filename=/dev/mapper/vm --rw=write:60k --bs=4k --offset=1280k --number_ios=200 \
	--direct=1 --fsync_on_close=1 >/dev/null
wanted=$(sum_of /dev/mapper/vm)
layers=$(dmsetup message vm 0 layers | wc -l)
dmcommit down vm
dmcommit detach st
is "$(dmcommit start vm --offline --store /dev/ssd --top "$upper" --base "$lower" --dry-run --json |
	sed -n 's/^ *"base": \([0-9]*\).*/\1/p')" "$lower" "offline, a layer into a layer: what it would do"
check "it does it" dmcommit start vm --offline --store /dev/ssd --top "$upper" --base "$lower" --verify
dmcommit start vm --offline --store /dev/ssd --base "$lower" --speed 256K >/dev/null 2>&1 &
kill_in_the_middle
check "up again" dmcommit up vm --base /dev/hdd --store /dev/ssd
is "$(sum_of /dev/mapper/vm)" "$wanted" "the volume shows the same"
check "it may go faster" dmcommit speed vm 0
is "$(wait_for_job vm) $(status_field vm 10)" "completed $lower" "the module takes that into a layer to its end, too"
is "$(sum_of /dev/mapper/vm)" "$wanted" "and it shows the same"
is "$(dmsetup message vm 0 layers | wc -l)" "$((layers - 1))" "there are as many layers as there should be"
dmcommit down vm
dmcommit detach st

# Map pages that lie apart are read many at a time: the requests under way, on average.
# Each takes much longer than a slow machine needs to ask for it.
make_disk slow 24 irqmode=2 completion_nsec=40000000
scattered()
{
	awk -v pages=1000 'BEGIN {
		print "cowstack-dump 1"
		print "store uuid=00112233-4455-6677-8899-aabbccddeeff name=scattered created=1 compat=0x0" \
			" ro_compat=0x0 chunk_sectors=8 ring_blocks=224 data_start=2048 chunks=5888 next_layer=3"
		print "layer id=1 parent=0 flags=frozen created=1 name=-"
		print "layer id=2 parent=1 flags=- created=1 name=-"
		print "volume id=1 top=2 sectors=" pages * 4096 " name=vm"
		print "base flags=- sectors=0 seed=0x0 crc=0x0 mixed_top=0 time=0 device=-"
		print "job kind=none state=idle on_error=stop flags=- top=0 base=0 error=0 speed=0" \
			" until=0 cursor=0 done=0 total=0 errors=0 first_error=0"
		print "map layer=1"
		for (i = 0; i < pages; i++)
			print "run first=" 512 * i " count=1 chunk=" 2 * i " mask=0xff flags=-"
		print "end layers=2 volumes=1 runs=" pages " chunks=" pages
	}'
}
# busy N: word N of what the disk has counted: 10 ms at work, 11 ms of all requests
busy()
{
	awk -v n="$1" '{ print $n }' /sys/block/slow/stat
}
check "a store with pages that lie apart" dmcommit restore /dev/slow --from - --force < <(scattered)
before="$(busy 10) $(busy 11)"
like "$(dmcommit check /dev/slow)" "1000 chunks in 1000 map pages" "it is sound"
read -r work all <<<"$before"
work=$(($(busy 10) - work))
all=$(($(busy 11) - all))
echo "# $all ms of requests in $work ms"
check "its pages are read many at a time" test "$all" -gt $((4 * work))
done_testing
