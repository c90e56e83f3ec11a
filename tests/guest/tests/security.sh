#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 768 --cpus 2 --timeout 1200
# The rules of security.rst that no other test is about.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/refusals.sh
. /lib/cowstack-tests/store_bytes.sh

modprobe dm-cowstack
make_disk ssd 32
make_disk base 16
make_disk base2 16
size=$((16 * 2048))
dmcommit format /dev/ssd --name st --chunk-size 4K >/dev/null
attach_store st /dev/ssd discard_passdown 0
dmsetup message st 0 create_volume 1 "$size" v
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"

content()
{
	dd if="$1" bs=1M iflag=direct 2>/dev/null | xxhsum
}

# secret TEXT BYTES: as many of it
secret()
{
	yes "$1" | head -c "$2"
}

# holds DEVICE TEXT
holds()
{
	dd if="$1" bs=1M iflag=direct 2>/dev/null | grep -q -a -F "$2"
}

# --- who may ---
echo 'somebody:x:1000:1000::/tmp:/bin/bash' >>/etc/passwd
chmod 666 /dev/mapper/control
as_somebody()
{
	su -s /bin/bash somebody -c "$*"
}
check "another user can be had" as_somebody true
for command in "dmsetup message v 0 snapshot" "dmsetup message st 0 create_volume 2 8 w" \
	"dmsetup status v" "dmsetup remove v" \
	"dmsetup create w --table '0 8 cowstack /dev/base2 /dev/mapper/st 1'"; do
	like "$(as_somebody "$command" 2>&1)" "Permission denied" "not for users: $command"
done
is "$(status_field v 2)" 1 "and nothing came of it"

# --- what is not built is not offered ---
for name in v st; do
	queue=/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor "$name")/queue
	is "$(cat "$queue/zoned") $(cat "$queue/dax")" "none 0" "$name: no zones, no DAX"
	is "$(cat "$queue/../integrity/format" 2>/dev/null || echo none)" none \
		"$name: no integrity data"
	is "$(cat "$queue/atomic_write_max_bytes" 2>/dev/null || echo 0)" 0 \
		"$name: no atomic writes"
done
make_disk zones 64 zoned=1 zone_size=16 zone_max_open=0
is "$(cat /sys/block/zones/queue/zoned)" host-managed "there is a disk of zones"
dmsetup message st 0 create_volume 9 "$size"
remember_state
table_refused "base /dev/zones is zoned" "$(stack_line 9 "$size" /dev/zones st)"
table_refused "store device /dev/zones is zoned" "0 $size cowstore /dev/zones"
like "$(dmcommit format /dev/zones --force 2>&1)" "/dev/zones is zoned" "nor is a store made on it"
nothing_changed "zones"

# --- dm lets us be polled, as our devices can be: nothing waits for that in vain ---
make_disk polled 16 submit_queues=1 poll_queues=1
dmsetup message st 0 create_volume 8 "$size"
dmsetup create p --table "$(stack_line 8 "$size" /dev/polled st)"
check "polled I/O ends" timeout 300 fio --name=p --filename=/dev/mapper/p --ioengine=pvsync2 \
	--hipri=1 --direct=1 --rw=randrw --bsrange=512-256k --size=8m --number_ios=300 \
	--output=/tmp/fio
dmsetup remove p
dmsetup message st 0 delete_volume 8

# --- a base is raw: what looks like a store on it is a guest's data ---
make_disk image 12
dmcommit format /dev/image --name evil >/dev/null
dd if=/dev/image of=/dev/mapper/v bs=1M oflag=direct 2>/dev/null
dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "a guest's disk that looks like a store is committed"
is "$(head -c 8192 /dev/base | xxhsum)" "$(head -c 8192 /dev/image | xxhsum)" \
	"now the base looks like one"
# What a commit leaves to be done: layers that are to be forgotten.
at_rest dmsetup status >/dev/null
remember_state
refused "base is a stack's base" attach_store evil /dev/base
check_fails "the tool does not take it either" dmcommit attach /dev/base
check_fails "nor formats it" dmcommit format /dev/base
nothing_changed "a base that looks like a store"
dmsetup remove v
check "it is a base still" dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
is "$(head -c $((12 << 20)) /dev/mapper/v | xxhsum)" "$(xxhsum </dev/image)" \
	"with what the guest wrote"

# --- a table that is loaded and not live changes nothing ---
dd if=/dev/urandom of=/dev/mapper/v bs=1M count=4 oflag=direct 2>/dev/null
before="$(dmsetup table v) $(dmsetup status v) $(content /dev/mapper/v) $(content /dev/base2)"
dmsetup reload v --table "$(stack_line 1 $((size / 2)) /dev/base2 st \
	accept_base 1 read_only_base 1 commit_base 7)"
like "$(dmsetup table --inactive v)" "cowstack" "another table is loaded"
is "$(dmsetup table v) $(dmsetup status v) $(content /dev/mapper/v) $(content /dev/base2)" \
	"$before" "the live one is what it was"
dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "it commits"
is "$(content /dev/base)" "$(content /dev/mapper/v)" "into its own base"
dmsetup clear v
check "it may be thrown away" dmsetup resume v

# --- what is loaded once is not read again ---
dd if=/dev/urandom of=/dev/mapper/v bs=64K count=8 oflag=direct conv=fsync 2>/dev/null
is_now=$(content /dev/mapper/v)
dmsetup suspend v
dmsetup suspend st
ring=$(ring_start /dev/ssd)
dd if=/dev/ssd of=/tmp/ring bs=4096 skip="$ring" count=16 iflag=direct 2>/dev/null
dd if=/dev/urandom of=/dev/ssd bs=4096 seek="$ring" count=16 conv=notrunc oflag=direct 2>/dev/null
dmsetup resume st
dmsetup resume v
is "$(content /dev/mapper/v)" "$is_now" "a resume takes nothing from a ring that was overwritten"
dmsetup suspend v
dmsetup suspend st
dd if=/tmp/ring of=/dev/ssd bs=4096 seek="$ring" conv=notrunc oflag=direct 2>/dev/null
dmsetup resume st
dmsetup resume v

# --- nobody reads what was another's ---
secret "of the first volume" $((14 << 20)) |
	dd of=/dev/mapper/v bs=1M iflag=fullblock oflag=direct 2>/dev/null
check "a volume fills the store" holds /dev/ssd "of the first volume"
dmsetup remove v
dmsetup message st 0 delete_volume 1
is "$(wait_for_value st freeing 0)" 0 "it is deleted"
check "its bytes lie there" holds /dev/ssd "of the first volume"
dmsetup message st 0 create_volume 2 "$size" w
dmsetup create w --table "$(stack_line 2 "$size" /dev/base2 st)"
# Pieces, parts of pieces, and whole chunks, in half of the chunks that there are.
for ((i = 0; i < 60; i++)); do
	dd if=/dev/zero of=/dev/mapper/w bs=512 count=$((i % 9 + 1)) seek=$((i * 537)) \
		oflag=direct 2>/dev/null
	dd if=/dev/zero of=/dev/mapper/w bs=300 count=1 seek=$((i * 733 + 20000)) 2>/dev/null
done
sync /dev/mapper/w
check "the new one uses its chunks" test "$(status_field w 4)" -gt 60
check_fails "and shows none of its bytes" holds /dev/mapper/w "of the first volume"
dmsetup message w 0 commit start
is "$(wait_for_job w)" completed "it commits"
check_fails "nor does its base" holds /dev/base2 "of the first volume"
dmsetup remove w

# --- a load that would take for ever is refused ---
# A discard of all of a large volume, said again and again in one step.
dmsetup create large --table "0 $((16 << 21)) zero"
make_disk ssd2 8
dmcommit format /dev/ssd2 --chunk-size 4K >/dev/null
attach_store st2 /dev/ssd2
dmsetup message st2 0 create_volume 1 $((16 << 21)) x
dmsetup create x --table "$(stack_line 1 $((16 << 21)) /dev/mapper/large st2)"
blkdiscard -f /dev/mapper/x 2>/dev/null
dd if=/dev/null of=/dev/mapper/x conv=fsync,notrunc 2>/dev/null
dmsetup remove x
dmsetup remove st2

# find_run: the block of the step that says it, and where in it
find_run()
{
	local n block at end bytes

	for ((n = 0; n < 8; n++)); do
		block=$(step_block /dev/ssd2 "$n")
		at=$((block * 4096 + 64))
		end=$((at + $(number_at /dev/ssd2 $((at - 16)) 4)))
		[ "$end" -le $(((block + 1) * 4096)) ] || continue
		while [ "$at" -lt "$end" ]; do
			[ "$(number_at /dev/ssd2 "$at" 2)" -ne 8 ] || echo "$block $at"
			bytes=$(number_at /dev/ssd2 $((at + 2)) 2)
			[ "$bytes" -gt 0 ] || break
			at=$((at + bytes))
		done
	done
}
read -r block at < <(find_run)
check "the step is found" test -n "$at"
dd if=/dev/ssd2 bs=1 skip="$at" count=24 2>/dev/null >/tmp/run
put_number /tmp/run 8 0
put_number /tmp/run 16 $((2 << 20))
for ((i = block * 4096 + 64; i + 24 <= (block + 1) * 4096; i += 24)); do
	cat /tmp/run
done >/tmp/runs
put_bytes /dev/ssd2 $((block * 4096 + 64)) </tmp/runs
used=$(stat -c %s /tmp/runs)
put_number /dev/ssd2 $((block * 4096 + 48)) "$used" 4
put_number /dev/ssd2 $((block * 4096 + 52)) 0 4
put_number /dev/ssd2 $((block * 4096 + 56)) 1 4
put_number /dev/ssd2 $((block * 4096 + 60)) "$(crc32 </tmp/runs)" 4
seal /dev/ssd2 "$block" $((64 + used))
table="0 $(sectors_of /dev/ssd2)"
check_fails "it is refused at once" \
	timeout 300 dmsetup create st2 --table "$table cowstore /dev/ssd2"
like "$(dmesg)" "more map pages than the store has room for" "and it is said why"

# --- a load that takes for ever can be killed ---
dmsetup create late --table "$table linear /dev/ssd2 0"
dmsetup suspend --noflush --nolockfs late
dmsetup create st2 --table "$table cowstore /dev/mapper/late" 2>/dev/null &
load=$!

# waits_for_disk PROCESS: in the kernel, and does not go on
waits_for_disk()
{
	local i

	for i in 1 2 3 4; do
		[ "$(cut -d' ' -f3 "/proc/$1/stat")" = D ] || return
		sleep 0.2
	done
}

has_ended()
{
	! kill -0 "$1" 2>/dev/null
}

check "a load waits for its disk" await waits_for_disk $load
kill -9 $load
dmsetup resume late
check "it ends when it is killed" await has_ended $load
like "$(dmesg)" "loading was interrupted" "and says so"
wait $load 2>/dev/null
is "$(dmsetup table st2)" "" "no store came of it"
dmsetup remove st2
dmsetup remove late
dmsetup remove large
dmsetup remove st
nothing_left
done_testing
