#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: the same reads and writes on dm-snapshot, dm-thin, dm-writecache, dm-cache
# guest: --memory 2048
# not quick
. measure.sh
begin_part "$@"
modprobe -a dm-snapshot dm-thin-pool dm-writecache dm-cache dm-cache-smq

read=(--rw=randread --bs=4k)
write=(--rw=randwrite --bs=4k)
first=(--rw=randwrite --bs=4k --blockalign=64k)
# These take ten times as long for some of it.
peer_ios=$((ios / 3))
firsts=600

make_ssd ssd 256 discard=0
make_ssd base 128 discard=0
make_ssd wide 8192 discard=0
make_ssd meta 16 discard=0
# As that of the part "write".
make_ssd cached 16384 discard=0 cache_size=1024
make_ssd cached_meta 16 discard=0 cache_size=16
for disk in ssd base meta; do
	fill /dev/$disk
done

# --- dm-linear, in this guest too: what ratios are made with ---

make_linear peer /dev/base
measure "read-base-1 read-base-16 read-layer-1 read-spread-16:linear" $peer_ios \
	/dev/mapper/peer "${read[@]}"
measure_one "seq-read-base seq-read-layer:linear" 300 /dev/mapper/peer --rw=read --bs=128k
remove_devices peer
make_linear peer /dev/ssd
measure rewrite:linear $peer_ios /dev/mapper/peer "${write[@]}"
measure_one first-write:linear $firsts /dev/mapper/peer "${first[@]}"
measure_one seq-first-write:linear 300 /dev/mapper/peer --rw=write --bs=128k
remove_devices peer
make_linear peer /dev/cached
measure_one first-write-sync:linear $firsts /dev/mapper/peer "${first[@]}" --fdatasync=1
must dd if=/dev/zero of=/dev/cached bs=1M count=16 oflag=direct conv=fsync
measure_one rewrite-sync:linear $firsts /dev/mapper/peer "${write[@]}" --size=16m --fdatasync=1
remove_devices peer

# --- dm-snapshot, of 4 and of 64 KiB ---

for size in 4 64; do
	name=snapshot-${size}k
	sectors=$((size * 2))
	make_snapshot peer /dev/base /dev/ssd $sectors
	measure "read-base-1:$name" $peer_ios /dev/mapper/peer "${read[@]}"
	measure_one "seq-read-base:$name" 300 /dev/mapper/peer --rw=read --bs=128k
	fill /dev/mapper/peer
	measure "read-layer-1:$name" $peer_ios /dev/mapper/peer "${read[@]}"
	measure "rewrite:$name" $peer_ios /dev/mapper/peer "${write[@]}"
	measure_one "seq-read-layer:$name" 300 /dev/mapper/peer --rw=read --bs=128k
	remove_devices peer
	make_snapshot peer /dev/wide /dev/ssd $sectors
	measure_one "first-write:$name" $firsts /dev/mapper/peer "${first[@]}"
	remove_devices peer
	make_snapshot peer /dev/base /dev/ssd $sectors
	measure_one "seq-first-write:$name" 300 /dev/mapper/peer --rw=write --bs=128k
	remove_devices peer
	make_snapshot peer /dev/base /dev/cached $sectors
	fill /dev/mapper/peer
	measure_one "rewrite-sync:$name" $firsts /dev/mapper/peer "${write[@]}" --fdatasync=1
	remove_devices peer
	make_snapshot peer /dev/wide /dev/cached $sectors
	measure_one "first-write-sync:$name" $firsts /dev/mapper/peer "${first[@]}" --fdatasync=1
	remove_devices peer
done

# A chain of sixteen, each with a sixteenth of the data.
below=/dev/base
chain=()
for ((i = 0; i < 16; i++)); do
	make_ssd cow$i 16 discard=0
	make_snapshot chain$i $below /dev/cow$i 8
	below=/dev/mapper/chain$i
	chain=(chain$i "${chain[@]}")
done
measure read-base-16:snapshot-4k $peer_ios $below "${read[@]}"
remove_devices "${chain[@]}"
below=/dev/base
for ((i = 0; i < 16; i++)); do
	make_snapshot chain$i $below /dev/cow$i 8
	below=/dev/mapper/chain$i
	write_apart $below 64 $((i * 64)) 1024
done
measure read-spread-16:snapshot-4k $peer_ios $below "${read[@]}"
remove_devices "${chain[@]}"
for ((i = 0; i < 16; i++)); do
	remove_disk cow$i
done

# --- dm-thin over an external origin ---

make_pool pool /dev/meta /dev/ssd
make_thin peer pool 1 /dev/base
measure read-base-1:thin $peer_ios /dev/mapper/peer "${read[@]}"
measure_one seq-read-base:thin 300 /dev/mapper/peer --rw=read --bs=128k
fill /dev/mapper/peer
measure read-layer-1:thin $peer_ios /dev/mapper/peer "${read[@]}"
measure rewrite:thin $peer_ios /dev/mapper/peer "${write[@]}"
measure_one seq-read-layer:thin 300 /dev/mapper/peer --rw=read --bs=128k
remove_devices peer
must dmsetup message pool 0 "delete 1"
make_thin peer pool 2 /dev/wide
measure_one first-write:thin $firsts /dev/mapper/peer "${first[@]}"
remove_devices peer
must dmsetup message pool 0 "delete 2"
make_thin peer pool 3 /dev/base
measure_one seq-first-write:thin 300 /dev/mapper/peer --rw=write --bs=128k
remove_devices peer
must dmsetup message pool 0 "delete 3"

# Its snapshots share what they have in common, whatever their number: sixteen, the last
# of which nobody has written, and then each with a sixteenth of the data.
# snapshot_thin ID: of peer, which it takes the place of
snapshot_thin()
{
	must dmsetup suspend peer
	must dmsetup message pool 0 "create_snap $1 $(($1 - 1))"
	must dmsetup remove peer
	must dmsetup create peer --table \
		"0 $(sectors_of /dev/base) thin /dev/mapper/pool $1 /dev/base"
}

make_thin peer pool 10 /dev/base
for ((i = 11; i < 26; i++)); do
	snapshot_thin $i
done
measure read-base-16:thin $peer_ios /dev/mapper/peer "${read[@]}"
remove_devices peer
make_thin peer pool 30 /dev/base
for ((i = 0; i < 16; i++)); do
	write_apart /dev/mapper/peer 64 $((i * 64)) 1024
	[ $i = 15 ] || snapshot_thin $((31 + i))
done
measure read-spread-16:thin $peer_ios /dev/mapper/peer "${read[@]}"
remove_devices peer pool
make_pool pool /dev/cached_meta /dev/cached
make_thin peer pool 2 /dev/wide
measure_one first-write-sync:thin $firsts /dev/mapper/peer "${first[@]}" --fdatasync=1
remove_devices peer
must dmsetup message pool 0 "delete 2"
make_thin peer pool 1 /dev/base
fill /dev/mapper/peer
measure_one rewrite-sync:thin $firsts /dev/mapper/peer "${write[@]}" --fdatasync=1
remove_devices peer pool

# --- caches: their "layer" is what the cache holds; dm-clone: see the part "clone" ---

make_cache peer /dev/base /dev/cached_meta /dev/cached
measure_one first-write-sync:cache $firsts /dev/mapper/peer "${first[@]}" --fdatasync=1
measure read-base-1:cache $peer_ios /dev/mapper/peer "${read[@]}"
remove_devices peer
make_writecache peer /dev/base /dev/ssd
measure_one first-write:writecache $firsts /dev/mapper/peer "${first[@]}"
fill /dev/mapper/peer
measure read-layer-1:writecache $peer_ios /dev/mapper/peer "${read[@]}"
measure rewrite:writecache $peer_ios /dev/mapper/peer "${write[@]}"
# Not removed: it would write back.
end_part
