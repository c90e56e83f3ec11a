#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1536 --cpus 2 --timeout 900 --add build/tests/mirror_io
# kernels: all
# Every kind of I/O, of any size and alignment, against a plain device.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/beside.sh

modprobe dm-cowstack

# build CHUNK BASE-SECTORS: store st, volume v over /dev/base, shadow to compare
build()
{
	dmcommit format /dev/ssd --name st --chunk-size "$1" --force >/dev/null
	attach_store st /dev/ssd
	dmsetup message st 0 create_volume 1 "$length" v
	dd if=/dev/urandom of=/dev/base bs=1M oflag=direct 2>/dev/null
	dd if=/dev/zero of=/dev/shadow bs=1M oflag=direct 2>/dev/null
	dd if=/dev/base of=/dev/shadow bs=1M oflag=direct 2>/dev/null
	dmsetup create v --table "$(stack_line 1 "$length" /dev/base st)"
	dmsetup create s --table "0 $length linear /dev/shadow 0"
}

tear_down()
{
	dmsetup remove v && dmsetup remove s && dmsetup remove st &&
		dmcommit check /dev/ssd
}

snapshots()
{
	sleep 0.3
	dmsetup message v 0 snapshot
}

commits()
{
	sleep 0.2
	dmsetup message v 0 commit start 2>/dev/null
	# One may still run.
	return 0
}

# round CHUNK OPERATIONS THREADS MODE BESIDE
round()
{
	build "$1"
	[ "$5" = nothing ] || begin_beside "$5"
	check "$1 chunks, $4, $3 threads, $5 beside: content" \
		mirror_io /dev/mapper/v /dev/mapper/s "$RANDOM" "$2" "$3" "$4"
	if [ "$5" != nothing ]; then
		end_beside
		wait_for_job v >/dev/null
	fi
	check "$1 chunks: all is given back and the store is clean" tear_down
}

make_disk ssd 200
make_disk base 24
make_disk shadow 32

# A length that is a multiple of nothing, a base that is shorter.
length=$((30 * 2048 - 3))
for chunk in 4K 64K 1M; do
	round "$chunk" 1500 1 coarse nothing
	round "$chunk" 700 4 fine nothing
done
round 64K 700 4 coarse snapshots
round 64K 500 4 fine snapshots
# Commits need a base that takes all that the layers hold.
length=$((24 * 2048 - 5))
round 64K 1200 4 coarse commits
round 8K 700 4 fine commits
done_testing
