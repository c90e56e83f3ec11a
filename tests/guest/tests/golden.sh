#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 400
# guest: --add tests/golden/fresh.store.xz
# guest: --add tests/golden/chain.store.xz --add tests/golden/chain.base.xz --add tests/golden/chain.live
# guest: --add tests/golden/clean.store.xz --add tests/golden/clean.base.xz --add tests/golden/clean.live
# guest: --add tests/golden/clean-gone.store.xz --add tests/golden/clean-gone.base.xz --add tests/golden/clean-gone.live
# guest: --add tests/golden/commit.store.xz --add tests/golden/commit.base.xz --add tests/golden/commit.live
# guest: --add tests/golden/stream.store.xz --add tests/golden/stream.base.xz --add tests/golden/stream.live
# guest: --add tests/golden/small.store.xz --add tests/golden/small.base.xz --add tests/golden/small.live
# guest: --add tests/golden/large.store.xz --add tests/golden/large.base.xz --add tests/golden/large.live
# guest: --add tests/golden/grown.store.xz --add tests/golden/grown.base.xz --add tests/golden/grown.live
# guest: --add tests/golden/gone.store.xz --add tests/golden/gone.base.xz --add tests/golden/gone.live
# guest in check: --cpus 1
# Stores of format version 1 that were made once: the module shows of each what the one
# that made it did, goes on with jobs that were cut off, and leaves it clean. Feature bits
# of later versions.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/store_bytes.sh
. /lib/cowstack-tests/refusals.sh
. /lib/cowstack-tests/golden.sh

golden=/usr/local/bin
modprobe dm-cowstack
modprobe loop

# open_golden NAME: leaves its devices in $store and $base
open_golden()
{
	xz -dc "$golden/$1.store.xz" >/tmp/store
	store=$(losetup -f --show /tmp/store)
	base=
	[ ! -f "$golden/$1.base.xz" ] || {
		xz -dc "$golden/$1.base.xz" >/tmp/base
		base=$(losetup -f --show /tmp/base)
	}
}

close_golden()
{
	sync
	losetup -d "$store"
	[ -z "$base" ] || losetup -d "$base"
	rm -f /tmp/store /tmp/base
}

# volumes_of NAME: each with its length
volumes_of()
{
	sed -n 's/ sectors / /p' "$golden/$1.live"
}

# all_up NAME
all_up()
{
	attach_store st "$store"
	volumes_of "$1" | while read -r id sectors; do
		dmsetup create "v$id" --table \
			"$(stack_line "$id" "$sectors" "$base" st resume_commit 0)"
	done
}

all_down()
{
	local name

	for name in $(dmsetup ls --target cowstack | cut -f 1); do
		dmsetup remove "$name"
	done
	dmsetup remove st
}

# shows NAME TEXT: what was to be seen when it was made
shows()
{
	local id

	for id in $(volumes_of "$1" | cut -d ' ' -f 1); do
		is "$(golden_content "/dev/mapper/v$id" "$id")" \
			"$(grep "^$id content " "$golden/$1.live")" "$1, volume $id: the content, $2"
	done
}

for name in fresh chain clean clean-gone commit stream small large grown gone; do
	open_golden "$name"
	if [ "$name" = fresh ]; then
		check "$name: comes up" attach_store st "$store"
		check "$name: can be used" dmsetup message st 0 create_volume 1 2048 vm
	else
		check "$name: comes up" all_up "$name"
		for id in $(volumes_of "$name" | cut -d ' ' -f 1); do
			is "$(golden_chain "v$id" "$id")" \
				"$(grep -E "^$id (layer|status) " "$golden/$name.live")" \
				"$name, volume $id: its layers, its status"
		done
		shows "$name" "at once"
	fi
	case $name in
	commit | stream)
		id=$(volumes_of "$name" | cut -d ' ' -f 1)
		dmsetup message "v$id" 0 commit speed 0
		dmsetup message "v$id" 0 commit resume
		is "$(wait_for_job "v$id")" completed "$name: the job that was cut off ends"
		shows "$name" "when the job has ended"
		;;
	esac
	all_down
	check "$name: it is left clean" dmcommit check "$store"
	close_golden
done

# --- feature bits of later versions ---
open_golden chain
cp /tmp/store /tmp/good

# with_bits OFFSET BLOCK…: the superblocks there say that all features are used
with_bits()
{
	local block

	cp /tmp/good /tmp/store
	for block in "${@:2}"; do
		put_number "$store" $((block * 4096 + $1)) -1
		seal "$store" "$block"
	done
}

bits()
{
	echo $(od -A n -t x8 -j $(($1 + 56)) -N 8 "$store")
}

with_bits 56 0 16
before=$(xxhsum <"$store")
check "compatible features: comes up" all_up chain
shows chain "with compatible features"
dmsetup remove v1
dmsetup message st 0 delete_volume 1
# One, or two where not all of its layers are let go of when the first begins
for ((i = 0; i < 600; i++)); do
	[ "$(status_value st checkpoints)" -eq 0 ] || break
	sleep 0.1
done
check "compatible features: a checkpoint is written" test "$(status_value st checkpoints)" -ge 1
all_down
is "$(bits 0) $(bits 65536)" "ffffffffffffffff ffffffffffffffff" \
	"compatible features: the bits are kept"
check "compatible features: it is left clean" dmcommit check "$store"
for superblock in 0 16 "0 16"; do
	# shellcheck disable=SC2086 # blocks are words
	with_bits 72 $superblock
	before=$(xxhsum <"$store")
	refused "an incompatible feature is not known" attach_store st "$store"
	check_fails "the tool does not attach it" dmcommit attach "$store"
	is "$(xxhsum <"$store")" "$before" "incompatible features at $superblock: nothing was written"
done
with_bits 64 0 16
before=$(xxhsum <"$store")
refused "a feature is not known that writers must know" attach_store st "$store"
check "dmcommit check reads it" dmcommit check "$store"
is "$(xxhsum <"$store")" "$before" "read-only-compatible features: nothing was written"
close_golden
nothing_left
done_testing
