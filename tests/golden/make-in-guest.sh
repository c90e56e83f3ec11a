#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: make-in-guest.sh NAME…
#
# In a guest: makes golden stores with the module, notes what it says of them, and leaves
# all of it as an archive on /dev/vda. tests/golden/make runs it.
set -e
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/store_bytes.sh
. /lib/cowstack-tests/failing.sh
. /lib/cowstack-tests/golden.sh

out=/tmp/out
base_sectors=2048
mkdir "$out"
modprobe dm-cowstack

say()
{
	echo "# $*"
}

# put DEVICE TAG SECTOR COUNT: each sector says what it is
put()
{
	awk -v tag="$2" -v first="$3" -v count="$4" \
		'BEGIN { for (i = 0; i < count; i++) printf "%-501s%010d\n", tag, first + i }' |
		dd of="$1" bs=512 seek="$3" iflag=fullblock oflag=direct conv=notrunc,fsync \
			2>/dev/null
}

# store NAME MB CHUNK-SIZE: on the disk NAME
store()
{
	say "$1"
	make_disk "$1" "$2"
	dmcommit format "/dev/$1" --name "$1" --chunk-size "$3" >/dev/null
	attach_store st "/dev/$1"
}

# base NAME: its sectors say so
base()
{
	make_disk "$1" 1
	put "/dev/$1" base 0 "$base_sectors"
}

create()
{
	dmsetup message st 0 create_volume "$@"
}

# up ID SECTORS BASE [FEATURE…]: as vID
up()
{
	dmsetup create "v$1" --table "$(stack_line "$1" "$2" "$3" st "${@:4}")"
}

message()
{
	dmsetup message "v$1" 0 "${@:2}"
}

discard()
{
	blkdiscard -o $(($2 * 512)) -l $(($3 * 512)) "$1"
}

# note NAME ID…: what is to be seen of these volumes, which are up
note()
{
	local id

	for id in "${@:2}"; do
		echo "$id sectors $(sectors_of "/dev/mapper/v$id")"
		golden_content "/dev/mapper/v$id" "$id"
	done >>"$out/$1.live"
}

# note_chain NAME ID…: as it is when the power is cut and the volume up again, which then
# knows nothing of a job that had ended, and lets one wait that had not
note_chain()
{
	local id

	for id in "${@:2}"; do
		golden_chain "v$id" "$id" | sed -e 's/ running / paused /' \
			-e 's, completed .*, idle - 0 0 0/0 0 0,'
	done >>"$out/$1.live"
}

# keep NAME STORE [BASE]: what a power cut leaves, now that nothing is under way
keep()
{
	sync
	sleep 2
	dd if="$2" of="$out/$1.store" bs=1M iflag=direct 2>/dev/null
	[ -z "${3:-}" ] || dd if="$3" of="$out/$1.base" bs=1M iflag=direct 2>/dev/null
}

all_down()
{
	local name

	for name in $(dmsetup ls --target cowstack | cut -f 1); do
		dmsetup remove "$name"
	done
	dmsetup remove st
}

# checkpoint BASE: a volume that goes makes the store write one
checkpoint()
{
	local before

	create 99 64 scratch
	up 99 64 "$1"
	put /dev/mapper/v99 scratch 0 8
	dmsetup remove v99
	before=$(status_value st checkpoints)
	dmsetup message st 0 delete_volume 99
	while [ "$(status_value st checkpoints)" = "$before" ]; do
		sleep 0.2
	done
}

make_fresh()
{
	say fresh
	make_disk fresh 3
	dmcommit format /dev/fresh --name fresh >/dev/null
	keep fresh /dev/fresh
}

# Chains of every kind, in the index and in steps behind it.
make_chain()
{
	store chain 8 64K
	base chainbase
	create 1 "$base_sectors" system
	create 7 4096 data-7
	create 16777215 5000
	up 1 "$base_sectors" /dev/chainbase
	up 7 4096 /dev/chainbase
	put /dev/mapper/v1 one 3 5		# pieces of a chunk
	put /dev/mapper/v1 one 256 128		# a whole one
	put /dev/mapper/v7 seven 3000 300	# behind the base's end
	message 1 snapshot monday
	message 1 pin "$(message 1 layers | awk '$3 == 0 { print $1 }')"
	put /dev/mapper/v1 two 300 9
	discard /dev/mapper/v1 1024 512		# zeroes over the base
	message 1 snapshot
	dmsetup message st 0 clone_volume 8 1 "$(message 1 layers | awk '/ monday / { print $1 }')" copy
	up 8 "$base_sectors" /dev/chainbase
	put /dev/mapper/v8 eight 700 77
	checkpoint /dev/chainbase
	put /dev/mapper/v1 three 1030 20	# data among zeroes
	discard /dev/mapper/v7 3072 128		# of which nothing is left
	discard /dev/mapper/v8 1280 256
	message 7 snapshot Tuesday_2.0+x
	put /dev/mapper/v7 later 3100 4
	note chain 1 7 8
	note_chain chain 1 7 8
	keep chain /dev/chain /dev/chainbase
	all_down
}

# Copies that a commit kept; clean-gone: and a base that is another since.
make_clean()
{
	store clean 4 64K
	base cleanbase
	create 1 "$base_sectors" vm
	up 1 "$base_sectors" /dev/cleanbase
	put /dev/mapper/v1 one 0 500
	message 1 snapshot
	put /dev/mapper/v1 two 200 100
	message 1 commit start retain 1
	[ "$(wait_for_job v1)" = completed ]
	put /dev/mapper/v1 three 250 10
	note clean 1
	note_chain clean 1
	keep clean /dev/clean /dev/cleanbase
	checkpoint /dev/cleanbase
	dmsetup remove v1
	put /dev/cleanbase other 1900 100
	up 1 "$base_sectors" /dev/cleanbase accept_base 1
	put /dev/mapper/v1 four 600 10
	note clean-gone 1
	note_chain clean-gone 1
	keep clean-gone /dev/clean /dev/cleanbase
	all_down
}

# wait_for_done ID NUMBER: chunks
wait_for_done()
{
	local done=0

	while [ "$done" -lt "$2" ]; do
		sleep 0.1
		done=$(status_field "v$1" 11)
		done=${done%/*}
	done
}

# A commit that has met an error and is not at its end: the base is mixed.
make_commit()
{
	store commit 6 64K
	base commitbase
	table_over /dev/commitbase | dmsetup create failing
	create 3 "$base_sectors" vm
	up 3 "$base_sectors" /dev/mapper/failing
	put /dev/mapper/v3 one 0 1400
	message 3 snapshot first
	put /dev/mapper/v3 two 1000 700
	message 3 snapshot second
	put /dev/mapper/v3 top 1500 3
	note commit 3
	exchange failing /dev/commitbase 128 128 error_writes
	message 3 commit start top 2 speed 65536 on_error report yield 0 \
		verify 1 until 4000000000
	wait_for_done 3 4
	dmsetup suspend v3
	note_chain commit 3
	keep commit /dev/commit /dev/commitbase
	dmsetup resume v3
	message 3 commit cancel
	all_down
	dmsetup remove failing
}

# A stream of all, the base too, that is not at its end.
make_stream()
{
	store stream 6 64K
	base streambase
	create 5 "$base_sectors" vm
	up 5 "$base_sectors" /dev/streambase
	put /dev/mapper/v5 one 130 300
	message 5 snapshot first
	put /dev/mapper/v5 two 0 40
	message 5 snapshot second
	put /dev/mapper/v5 top 1500 3
	note stream 5
	message 5 stream start top 2 base none speed 65536 yield 0
	wait_for_done 5 3
	dmsetup suspend v5
	note_chain stream 5
	keep stream /dev/stream /dev/streambase
	dmsetup resume v5
	message 5 commit cancel
	all_down
}

# Chunks of eight pieces, many layers, an index of two blocks, a ring that was gone
# round.
make_small()
{
	local i

	store small 4 4K
	base smallbase
	create 1 8192 vm
	up 1 8192 /dev/smallbase
	for ((i = 0; i < 256; i++)); do
		put /dev/mapper/v1 "w$i" $((i % 64 * 8 + i / 64)) 1
	done
	for ((i = 0; i < 45; i++)); do
		put /dev/mapper/v1 "s$i" $((i * 97)) 2
		message 1 snapshot "s$i"
	done
	checkpoint /dev/smallbase
	note small 1
	note_chain small 1
	keep small /dev/small /dev/smallbase
	all_down
}

make_large()
{
	store large 20 1M
	base largebase
	create 1 8192 vm
	up 1 8192 /dev/largebase
	put /dev/mapper/v1 one 128 128
	put /dev/mapper/v1 one 2000 100
	message 1 snapshot
	put /dev/mapper/v1 two 130 2
	discard /dev/mapper/v1 0 128
	note large 1
	note_chain large 1
	keep large /dev/large /dev/largebase
	all_down
}

make_grown()
{
	say grown
	make_disk grownall 8
	base grownbase
	echo "0 6144 linear /dev/grownall 0" | dmsetup create grown
	dmcommit format /dev/mapper/grown --name grown >/dev/null
	attach_store st /dev/mapper/grown
	create 1 "$base_sectors" vm
	up 1 "$base_sectors" /dev/grownbase
	put /dev/mapper/v1 one 0 100
	echo "0 10000 linear /dev/grownall 0" | dmsetup load grown
	dmsetup resume grown
	dmsetup message st 0 grow
	put /dev/mapper/v1 two 64 1984
	dmsetup message st 0 resize_volume 1 3000
	dmsetup remove v1
	up 1 3000 /dev/grownbase
	note grown 1
	note_chain grown 1
	keep grown /dev/mapper/grown /dev/grownbase
	all_down
	dmsetup remove grown
}

# Volumes and layers that have gone since the last checkpoint, and a base that is the
# volume as of a commit that ended. What a checkpoint would forget is kept from it by a
# disk that takes its time, until the power is cut.
make_gone()
{
	store gone 6 64K
	dmsetup remove st
	echo "0 $(sectors_of /dev/gone) linear /dev/gone 0" | dmsetup create slow
	attach_store st /dev/mapper/slow
	base gonebase
	create 1 "$base_sectors" vm
	create 2 "$base_sectors" other
	up 2 "$base_sectors" /dev/gonebase read_only_base 1
	put /dev/mapper/v2 gone 0 300
	dmsetup remove v2
	up 1 "$base_sectors" /dev/gonebase allow_shared_base 1
	put /dev/mapper/v1 one 100 300
	message 1 snapshot
	put /dev/mapper/v1 two 256 128
	message 1 commit start
	[ "$(wait_for_job v1)" = completed ]
	sleep 3
	echo "0 $(sectors_of /dev/gone) delay /dev/gone 0 0 /dev/gone 0 5000" | dmsetup load slow
	dmsetup suspend --nolockfs slow
	dmsetup resume slow
	dmsetup message st 0 delete_volume 2
	dmsetup suspend --nolockfs slow
	dd if=/dev/gone of="$out/gone.store" bs=1M iflag=direct 2>/dev/null
	dmsetup resume slow
	note gone 1
	note_chain gone 1
	dd if=/dev/gonebase of="$out/gone.base" bs=1M iflag=direct 2>/dev/null
	all_down
	dmsetup remove slow
}

for name in "$@"; do
	"make_$name"
done
rmmod dm_cowstack
tar -cf /dev/vda -C "$out" .
sync
