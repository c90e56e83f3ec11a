#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1800 --add build/tests/mirror_io --add tests/crash/build/direct_io
# Which range a commit takes: what is no range is refused, and nothing changes; any
# other arrives as it was at its top, with users at work or without; each sector once,
# in ascending order; bases of another length than the volume; pieces of one sector.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh
. /lib/cowstack-tests/refusals.sh
. /lib/cowstack-tests/tracing.sh


modprobe dm-cowstack
make_disk ssd 128
make_disk base 16
make_disk shadow 16
size=$((16 * 2048))

down()
{
	[ ! -e /dev/mapper/v ] || dmsetup remove v
	[ ! -e /dev/mapper/st ] || dmsetup remove st
}

# fresh SECTORS BASE [FORMAT-OPTION…]: a new store, a volume of so many over BASE
fresh()
{
	down
	dmcommit format /dev/ssd --name st --force "${@:3}" >/dev/null
	attach_store st /dev/ssd
	dmsetup message st 0 create_volume 1 "$1" v
	dmsetup create v --table "$(stack_line 1 "$1" "$2" st)"
}

# work SEED: some of everything, to the volume and the shadow
work()
{
	mirror_io /dev/mapper/v /dev/shadow "$1" "${2:-25}" 2 coarse >/tmp/work ||
		not_ok "work of seed $1: $(cat /tmp/work)"
}

# A chain of four frozen layers and a top; /tmp/at.N is the volume as of layer N.
make_chain()
{
	local layer

	dd if=/dev/urandom of=/dev/base bs=1M count=16 oflag=direct status=none
	dd if=/dev/base of=/dev/shadow bs=1M oflag=direct status=none
	fresh "$size" /dev/base
	for layer in 1 2 3 4; do
		work $((layer + 10))
		snapshot
		dd if=/dev/shadow of=/tmp/at.$layer bs=1M iflag=direct status=none
	done
	work 15
}

# same DEVICE DEVICE-OR-FILE [BYTES]: past what the page cache has of the devices
same()
{
	blockdev --flushbufs "$1"
	[ ! -b "$2" ] || blockdev --flushbufs "$2"
	cmp ${3:+-n "$3"} "$1" "$2"
}

# --- what is no range ---
make_chain
dmsetup message st 0 create_volume 2 "$size" w
other=$(dmsetup table v | sed 's/ 1$/ 2/')
dmsetup create w --table "$other"
dmsetup message w 0 snapshot
foreign=$(dmsetup message w 0 layers | sed -n '2s/ .*//p')
is "$(layers)" "5 4 3 2 1" "a chain of five"
is "$foreign" 6 "layer 6 is another volume's"
dmsetup remove w
at_rest dmsetup status >/dev/null
remember_state
written=$(sectors_written base)
none="No such file or directory"
invalid="Invalid argument"
message_refused "$none" "commit start: top 99: no such layer" commit start top 99
message_refused "$none" "commit start: base 99: no such layer" commit start base 99
message_refused "$none" "commit start: top 0: no such layer" commit start top 0
message_refused "$none" "commit start: top 6: no such layer" commit start top 6
message_refused "$none" "commit start: base 6: no such layer" commit start top 4 base 6
message_refused "$invalid" "commit start: top 3: does not lie above base 3" commit start top 3 base 3
message_refused "$invalid" "commit start: top 1: does not lie above base 3" commit start top 1 base 3
message_refused "$invalid" "commit start: top 2: does not lie above base 4" commit start base 4 top 2
message_refused "$invalid" "commit start: top 5: is being written" commit start top 5
message_refused "$invalid" "commit start: base 5: is the top" commit start base 5
message_refused "$invalid" "commit start: top 5: is being written" commit start top 5 base 4
message_refused "$invalid" "commit start: top: bad value 4294967296" commit start top 4294967296
message_refused "$invalid" "commit start: top: bad value 1x" commit start top 1x
message_refused "$invalid" "commit start: base: bad value x" commit start base x
message_refused "$invalid" "commit start: top: its value is missing" commit start base 1 top
message_refused "$invalid" "commit start: unknown word bottom" commit start bottom 1
nothing_changed "ranges that are none"
is "$(layers)" "5 4 3 2 1" "the chain is what it was"
is "$(sectors_written base)" "$written" "nothing was written to the base"
check "the content is the same" same /dev/mapper/v /dev/shadow

# --- any range, with users at work and without ---

# commit_range offline|live TOP BASE: the content stays, and what BASE shows then is the
# volume as of TOP.
commit_range()
{
	local how=$1 top=$2 base=$3 text="$1, top $2 base $3" user=""

	make_chain
	if [ "$how" = live ]; then
		mirror_io /dev/mapper/v /dev/shadow 20 2s 2 coarse >/tmp/live &
		user=$!
		sleep 0.3
	fi
	commits "$text: completes" top "$top" base "$base" ${user:+yield 0}
	if [ -n "$user" ]; then
		wait "$user"
		is "$? $(cat /tmp/live)" "0 " "$text: users saw what they wrote"
	fi
	check "$text: the content is the same" same /dev/mapper/v /dev/shadow
	if [ "$base" -ne 0 ]; then
		like " $(layers) " " $base " "$text: the destination stays"
		is "$(base_alone)" unknown "$text: the base was not touched"
		# Then all that it holds.
		commits "$text: and from there into the base" top "$base"
	fi
	is "$(base_alone)" valid "$text: the base is valid"
	check "$text: it is the volume as of layer $top" same /dev/base "/tmp/at.$top"
	check "$text: with the base changed the content is the same" \
		same /dev/mapper/v /dev/shadow
}

commit_range offline 4 0
commit_range live 2 0
commit_range offline 3 2
commit_range live 4 1

# --- two jobs one after the other, side by side in the chain ---
make_chain
commits "first of two jobs: 2 into the base" top 2
check "the base is layer 2" same /dev/base /tmp/at.2
commits "second: 4 into the base" top 4
check "the base is layer 4" same /dev/base /tmp/at.4
is "$(layers)" 5 "only the top is left"
make_chain
commits "first of two jobs: 4 into 3" top 4 base 3
commits "second: 2 into 1" top 2 base 1
is "$(layers)" "5 3 1" "their destinations are left"
check "the content is the same" same /dev/mapper/v /dev/shadow
commits "the lower of them into the base" top 1
check "the base is layer 2" same /dev/base /tmp/at.2
commits "the higher" top 3
check "the base is layer 4" same /dev/base /tmp/at.4
commits "the top, of which a snapshot is taken"
check "the base is the volume" same /dev/base /dev/shadow
check "the content is the same" same /dev/mapper/v /dev/shadow

# --- what was discarded is zero in the base ---
make_chain
blkdiscard -o $((1 << 20)) -l $((3 << 20)) /dev/mapper/v
dd if=/dev/zero of=/dev/shadow bs=1M seek=1 count=3 oflag=direct conv=notrunc status=none
blkdiscard -z -o $(((6 << 20) + 512)) -l 5120 /dev/mapper/v
dd if=/dev/zero of=/dev/shadow bs=512 seek=$(((6 << 11) + 1)) count=10 oflag=direct \
	conv=notrunc status=none
commits "a commit with discards in it"
check "the base has zeroes there" cmp -n $((3 << 20)) -i $((1 << 20)):0 /dev/base /dev/zero
check "the base is the volume" same /dev/base /dev/shadow

# --- the newest piece wins; each sector once, ascending ---

# The sectors written to DISK, as "FIRST COUNT" lines in the order of their requests.
traced_writes()
{
	sed -n "s/.*block_rq_issue: $(tr : , <"/sys/block/$1/dev") W[A-Z]* [0-9]* () \([0-9]*\) + \([0-9]*\) .*/\1 \2/p" \
		$tracing/trace | grep -v ' 0$'
}

# fill BYTE OFFSET BYTES…: the same to the volume and the shadow
fill()
{
	local device byte=$1 operations=()
	shift

	while [ $# -ge 2 ]; do
		operations+=("w:$1:$2")
		shift 2
	done
	for device in /dev/mapper/v /dev/shadow; do
		direct_io $device -- "f:$byte" "${operations[@]}"
	done
}

# Layer 1 whole chunks, each newer layer a smaller part of them, and parts of others.
make_pyramid()
{
	local chunk at

	for layer in 1 2 3 4; do
		ranges=()
		for ((chunk = 0; chunk < 64; chunk++)); do
			at=$((chunk * 65536 + (layer - 1) * 8192))
			ranges+=($at $((65536 - (layer - 1) * 16384)))
		done
		for ((chunk = 100; chunk < 164; chunk++)); do
			at=$((chunk * 65536 + layer * 12288))
			ranges+=($at 8192)
		done
		fill $((layer * 16)) "${ranges[@]}"
		snapshot
	done
}

# check_order TEXT SECTORS
check_order()
{
	local backwards total

	read -r backwards total < <(awk '
		$1 < end { backwards++ }
		{ end = $1 + $2; total += $2 }
		END { print backwards + 0, total + 0 }' /tmp/writes)
	is "$backwards" 0 "$1: writes to the base are strictly ascending, so each sector is written once"
	is "$total" "$2" "$1: $2 sectors are written, those that the layers hold and no others"
}

# ascends TEXT WORD…: of what make_pyramid made
ascends()
{
	dd if=/dev/urandom of=/dev/base bs=1M count=16 oflag=direct status=none
	dd if=/dev/base of=/dev/shadow bs=1M oflag=direct status=none
	fresh "$size" /dev/base
	make_pyramid
	dd if=/dev/shadow of=/tmp/now bs=1M iflag=direct status=none
	begin_tracing 8192 block/block_rq_issue
	commits "$1: completes" "${@:2}"
	end_tracing
	traced_writes base >/tmp/writes
	check_order "$1" $((64 * 128 + 64 * 4 * 16))
	check "$1: the newest pieces are in the base" same /dev/base /tmp/now
	check "$1: the content is the same" same /dev/mapper/v /tmp/now
}

ascends "four layers in one pass"
ascends "four layers at a limited speed, verified" speed 8M verify 1

# --- a base that is shorter ---
make_disk short 8
dd if=/dev/urandom of=/dev/short bs=1M count=8 oflag=direct status=none
dd if=/dev/zero of=/dev/shadow bs=1M count=16 oflag=direct status=none
dd if=/dev/short of=/dev/shadow bs=1M oflag=direct conv=notrunc status=none
fresh "$size" /dev/short
check "behind the end of a short base there are zeroes" same /dev/mapper/v /dev/shadow
fill 17 0 65536 $((8 << 20)) 8192 $((12 << 20)) 4096
message_refused "No space left on device" \
	"commit start: the base ends at sector 16384, the layers hold 24 sectors behind it" commit start
is "$(layers)" 1 "no snapshot was taken"
snapshot
message_refused "No space left on device" \
	"commit start: the base ends at sector 16384, the layers hold 24 sectors behind it" commit start top 1
is "$(base_alone) $(state)" "unknown idle" "nothing was begun"
check "the content is the same" same /dev/mapper/v /dev/shadow
blkdiscard -o $((8 << 20)) -l $((8 << 20)) /dev/mapper/v
dd if=/dev/zero of=/dev/shadow bs=1M seek=8 count=8 oflag=direct conv=notrunc status=none
snapshot
commits "into a layer there is room" top 2 base 1
commits "what is zero behind the end needs none"
is "$(base_alone)" valid "the base is valid"
check "it is the volume as far as it goes" same /dev/short /dev/shadow $((8 << 20))
check "the content is the same" same /dev/mapper/v /dev/shadow

# --- a base that is longer, and a volume that ends within a chunk ---
make_disk long 24
dd if=/dev/urandom of=/dev/long bs=1M count=24 oflag=direct status=none
dd if=/dev/long of=/tmp/long bs=1M iflag=direct status=none
long_size=$((15 * 2048 + 24))
dmsetup create cut --table "0 $long_size linear /dev/shadow 0"
dd if=/dev/long of=/dev/mapper/cut bs=12288 count=$((long_size / 24)) oflag=direct conv=notrunc status=none
fresh "$long_size" /dev/long
check "everything, up to the volume's end" \
	mirror_io /dev/mapper/v /dev/mapper/cut 31 60 2 coarse
blkdiscard -o $(((15 << 20) - 65536)) -l $((65536 + 24 * 512)) /dev/mapper/v
dd if=/dev/zero of=/dev/mapper/cut bs=512 seek=$((15 * 2048 - 128)) count=152 \
	oflag=direct conv=notrunc status=none
blkdiscard -z -o $(((15 << 20) - 65536)) -l $((65536 + 24 * 512)) /dev/mapper/v
commits "into a longer base"
blockdev --flushbufs /dev/mapper/cut
check "the base is the volume" same /dev/long /dev/mapper/cut $((long_size * 512))
check "and what it was behind the volume's end" \
	cmp -i $((long_size * 512)) /dev/long /tmp/long
check "the content is the same" cmp /dev/mapper/v /dev/mapper/cut
down
dmsetup remove cut

# --- every other sector, at the start and past 4 GiB ---
make_disk huge 4616
make_disk huge_shadow 4616
huge=$((4612 * 2048))

# alternate BYTE START FIRST STEP: sectors FIRST, FIRST + STEP … of the 512 from START on
alternate()
{
	local i device operations=()

	for ((i = $3; i < 512; i += $4)); do
		operations+=("w:$(($2 + i * 512)):512")
	done
	for device in /dev/mapper/v /dev/huge_shadow; do
		direct_io $device -- "f:$1" "${operations[@]}"
	done
}

# windows_are_same DEVICE: at both places, and what lies beside them
windows_are_same()
{
	local start

	blockdev --flushbufs "$1"
	blockdev --flushbufs /dev/huge_shadow
	for start in 0 $(((4 << 30) - (256 << 10))) $((4608 << 20)); do
		cmp -i "$start" -n $((1 << 20)) "$1" /dev/huge_shadow || return
	done
}

for chunk_size in 4K 64K; do
	fresh "$huge" /dev/huge --chunk-size "$chunk_size" --force
	for start in 0 $(((4 << 30) - 65536)) $(((4 << 30) + (512 << 20))); do
		alternate 1 $start 0 2
	done
	snapshot
	for start in 0 $(((4 << 30) - 65536)) $(((4 << 30) + (512 << 20))); do
		alternate 2 $start 1 4
	done
	snapshot
	for start in 0 $(((4 << 30) - 65536)) $(((4 << 30) + (512 << 20))); do
		alternate 3 $start 2 8
	done
	check "chunks of $chunk_size: every other sector is right" windows_are_same /dev/mapper/v
	commits "chunks of $chunk_size: 2 into 1" top 2 base 1
	check "chunks of $chunk_size: they are the same" windows_are_same /dev/mapper/v
	commits "chunks of $chunk_size: all into the base"
	check "chunks of $chunk_size: they are the same" windows_are_same /dev/mapper/v
	check "chunks of $chunk_size: the base is the volume" windows_are_same /dev/huge
done

down
check "the module unloads" rmmod dm_cowstack
check "the store is clean" dmcommit check /dev/ssd
done_testing
