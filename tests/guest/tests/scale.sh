#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 2048 --cpus 2 --timeout 1800
# Many layers, huge volumes, large maps: content, memory, time to load.
# The work is done by fio.
# not on the debug kernel: it measures memory and time
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/refusals.sh

modprobe dm-cowstack

now_ms()
{
	echo $(($(date +%s%N) / 1000000))
}

# --- 70 layers with data in each ---
make_disk ssd 128
make_disk base 16
make_disk shadow 16
size=$((16 * 2048))
dd if=/dev/urandom of=/dev/base bs=1M oflag=direct 2>/dev/null
dd if=/dev/base of=/dev/shadow bs=1M oflag=direct 2>/dev/null
dmcommit format /dev/ssd --name st >/dev/null
attach_store st /dev/ssd
dmsetup message st 0 create_volume 1 "$size" v
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"

# write_both SECTOR SECTORS
write_both()
{
	dd if=/dev/urandom of=/tmp/data bs=512 count="$2" 2>/dev/null
	dd if=/tmp/data of=/dev/mapper/v bs=512 seek="$1" oflag=direct conv=notrunc 2>/dev/null
	dd if=/tmp/data of=/dev/shadow bs=512 seek="$1" oflag=direct conv=notrunc 2>/dev/null
}

for ((i = 1; i <= 70; i++)); do
	write_both $((i * 400)) 8
	write_both $((RANDOM % (size - 200))) $((1 + RANDOM % 150))
	dmsetup message v 0 snapshot "layer$i"
done
is "$(dmsetup message v 0 layers | wc -l)" 71 "71 layers"
check "each holds something" test "$(dmsetup message v 0 layers | awk '$7 == "frozen" && $4 == 0' | wc -l)" = 0
check "content through 71 layers" cmp /dev/mapper/v /dev/shadow
dmsetup remove v
dmsetup remove st
attach_store st /dev/ssd
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
is "$(dmsetup message v 0 layers | wc -l)" 71 "71 layers after a load"
check "content after a load" cmp /dev/mapper/v /dev/shadow
for ((i = 71; i <= 249; i++)); do
	dmsetup message v 0 snapshot
done
check_fails "251 layers are refused" dmsetup message v 0 snapshot
write_both 0 8
check "content through 250 layers" cmp /dev/mapper/v /dev/shadow
chain=$(dmsetup message v 0 layers)
mapfile -t ids < <(cut -d' ' -f1 <<<"$chain")
dmesg -c >/dev/null
refused "commit start: top ${ids[0]} cannot be frozen, as a chain has at most 250 layers" \
	dmsetup message v 0 commit start base "${ids[1]}"
is "$(dmsetup message v 0 layers)" "$chain" "and the chain is as it was"
is "$(status_field v 7)" idle "and there is no job"
dmsetup remove v
dmsetup remove st
error=$(dmcommit start v --offline --store /dev/ssd --base "${ids[1]}" 2>&1 >/dev/null)
is "$?" 1 "offline it is refused too"
like "$error" "the top of v cannot be frozen, as a chain has at most 250 layers; commit into" "with what to do"
attach_store st /dev/ssd
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
check "a commit takes no snapshot then" dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "and completes"
is "$(dmsetup message v 0 layers | wc -l)" 1 "one layer is left"
check "content after the commit" cmp /dev/mapper/v /dev/shadow
dmsetup remove v
dmsetup remove st
for disk in ssd base shadow; do
	remove_disk $disk
done

# --- 16 TiB, regions touched here and there, one half full ---
make_disk ssd 4096
make_disk base 16
dmcommit format /dev/ssd --name st >/dev/null
attach_store st /dev/ssd
huge=$((16 << 31))
dmsetup message st 0 create_volume 1 "$huge" v
dmsetup create v --table "$(stack_line 1 "$huge" /dev/base st)"
before=$(status_value st memory_bytes)
for ((i = 0; i < 64; i++)); do
	dd if=/dev/zero of=/dev/mapper/v bs=4k count=1 seek=$((i * (huge / 8 / 64) + 77)) oflag=direct 2>/dev/null
done
each=$((($(status_value st memory_bytes) - before) / 64))
diag "$each bytes for each of 64 touched regions of a 16 TiB volume"
check "at most 5 KiB for a touched region" test "$each" -le $((5 * 1024))
before=$(status_value st memory_bytes)
fio --name=half --filename=/dev/mapper/v --rw=write:124k --bs=4k --size=1g \
	--offset=4t --direct=1 --ioengine=libaio --iodepth=16 >/dev/null
grown=$(($(status_value st memory_bytes) - before))
diag "$grown bytes for a GiB of which every second chunk is mapped"
check "at most 150 KiB for a half full GiB" test "$grown" -le $((150 * 1024))
check "the end of the volume reads" dd if=/dev/mapper/v of=/dev/null bs=64k skip=$((huge / 128 - 4)) iflag=direct
dmsetup remove v
dmsetup remove st
check "the store is clean" dmcommit check /dev/ssd

# --- a million words ---
dmcommit format /dev/ssd --name st --force >/dev/null
attach_store st /dev/ssd
words=$((1 << 20))
remove_disk base
make_disk base $((words / 16))
dmsetup message st 0 create_volume 1 $((words * 128)) v
dmsetup create v --table "$(stack_line 1 $((words * 128)) /dev/base st)"
start=$(now_ms)
check "64 GiB are discarded" blkdiscard /dev/mapper/v
diag "in $(($(now_ms) - start)) ms"
sync /dev/mapper/v
diag "journal: $(status_value st step_blocks) blocks in $(status_value st steps) steps, $(status_value st checkpoints) checkpoints"
dmsetup remove v
# A machine that has others to serve may take longer for one load, not for three.
for try in 1 2 3; do
	dmsetup remove st
	start=$(now_ms)
	attach_store st /dev/ssd
	took=$(($(now_ms) - start))
	[ "$took" -ge 10000 ] || break
done
diag "a store with $words words was loaded in $took ms"
check "that is less than 10 s, emulated as it is" test "$took" -lt 10000
dmsetup create v --table "$(stack_line 1 $((words * 128)) /dev/base st)"
check "its end reads as zeroes" cmp -n 1048576 -i $((words * 65536 - 1048576)):0 /dev/mapper/v /dev/zero
dmsetup remove v
dmsetup remove st
check "the module unloads" rmmod dm_cowstack
done_testing
