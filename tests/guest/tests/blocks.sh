#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --cpus 1 --timeout 900 --add tests/crash/build/crash_test
# Logical blocks of 512 and 4096 bytes, mixed: the store's, either base's, with two levels
# the lower store's and the master's. A volume's is the largest of what it lies on, which
# crash_test looks at each time it comes up; no I/O is smaller. Content, parts of
# sixteenths, snapshots, commits, and cuts of the power, which tear whole blocks.
# Arguments: cuts of each of the mixes, the first seed.
. /lib/cowstack-tests/tap.sh

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
modprobe nbd nbds_max=3 max_part=0
echo 1 >/sys/kernel/rcu_expedited
echo 5 >/proc/sys/kernel/printk

cuts=${1:-7}
seed=${2:-1}

# mix TEXT STORE,BASE,BASE OPTION…
mix()
{
	local output

	if output=$(crash_test --blocks "$2" --cuts "$cuts" --seed "$seed" "${@:3}"); then
		ok "$1: $(sed -n 's/^ok 1 - //p' <<<"$output")"
	else
		not_ok "$1"
		diag "$output"
	fi
	diag "$(sed -n 's/^# \([0-9.]* s, .* a cut\)/\1/p' <<<"$output")"
	seed=$((seed + 1))
}

mix "store 512, bases 512 and 4096" 512,512,4096 --jobs
mix "store 4096, bases 512 and 4096" 4096,512,4096 --jobs
mix "store 512 over a lower store 4096 over a master 512" 512,4096,512 --tiers
mix "store 4096 over a lower store 512 over a master 4096" 4096,512,4096 --tiers

# What is smaller than a block is refused, and changes nothing.
. /lib/cowstack-tests/devices.sh
make_disk small 16
make_disk large 16 blocksize=4096
dmcommit format /dev/large --name st >/dev/null
attach_store st /dev/large
dmsetup message st 0 create_volume 1 8192 v
dmsetup create v --table "$(stack_line 1 8192 /dev/small st)"
is "$(blockdev --getss /dev/mapper/v) $(blockdev --getpbsz /dev/mapper/v)" "4096 4096" \
	"a store of 4096 over a base of 512: blocks of 4096"
check_fails "a write of 512 bytes is refused" \
	dd if=/dev/zero of=/dev/mapper/v bs=512 count=1 oflag=direct
check "one of 4096 is not" dd if=/dev/urandom of=/dev/mapper/v bs=4096 count=1 oflag=direct
dmsetup remove v
check_fails "a volume that ends within a block does not come up" \
	dmsetup create v --table "$(stack_line 1 8191 /dev/small st)"
dmsetup remove st

# Memory: what the store's device asks of its alignment is asked of users. Of dm-log-writes,
# as of dm-crypt, which fails what comes otherwise, that is a whole block.
make_disk log 16 blocksize=4096
dmsetup create logged --table "0 $(sectors_of /dev/large) log-writes /dev/large /dev/log"
# alignment DEVICE: of memory, as the kernel has it: a mask
alignment()
{
	echo "$(<"/sys/block/dm-$(dmsetup info -c --noheadings -o minor "$1")/queue/dma_alignment")"
}
is "$(alignment logged)" 4095 "a device whose I/O has to lie in memory by blocks of 4096"
attach_store st /dev/mapper/logged
dmsetup create v --table "$(stack_line 1 8192 /dev/small st)"
is "$(alignment v)" 4095 "… as a store: so has the stack's, over any base"
dmsetup remove v
dmsetup remove st
attach_store st /dev/large
check_fails "… instead of one that did not ask for it" \
	dmsetup reload st --table "0 $(sectors_of /dev/large) cowstore /dev/mapper/logged"
like "$(dmesg | tail -n 5)" "wants memory aligned to more than the store's" "… and why"
dmsetup remove st
dmsetup remove logged
remove_disk log

# A stream of all of a base that ends within a block of the store's, as the volume does: what
# goes up is whole blocks, and the stack comes up on it again. A commit takes it down. The
# store's disk fails what is no whole block, which null_blk does not.
modprobe sd_mod
modprobe scsi_debug dev_size_mb=16 sector_size=4096
await test -b /dev/sda
dmcommit format /dev/sda --name st --chunk-size 16K --force >/dev/null
attach_store st /dev/sda
dd if=/dev/urandom of=/dev/small bs=64k count=32 oflag=direct 2>/dev/null
dmsetup create cut --table "0 4089 linear /dev/small 0"
dmsetup message st 0 create_volume 1 4089 v
dmsetup create v --table "$(stack_line 1 4088 /dev/mapper/cut st)"
dd if=/dev/urandom of=/dev/mapper/v bs=4k count=1 seek=2 oflag=direct 2>/dev/null
before=$(xxhsum </dev/mapper/v)
dmsetup message v 0 stream start base none
is "$(wait_for_job v)" completed "a stream of a base that ends within a block"
dmsetup remove v
check "… comes up again" dmsetup create v --table "$(stack_line 1 4088 /dev/mapper/cut st)"
is "$(xxhsum </dev/mapper/v)" "$before" "… with the same content"
dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "… and is committed, up to the base's end"
is "$(xxhsum </dev/mapper/v)" "$before" "… the content stays"
dmsetup remove v
is "$(head -c $((4088 * 512)) /dev/mapper/cut | xxhsum)" "$before" "… and is the base's"
dmsetup message st 0 create_volume 2 8192 w
check "a base that ends within a block of the store's, below a volume that goes on" \
	dmsetup create w --table "$(stack_line 2 8192 /dev/mapper/cut st)"
{ head -c $((4089 * 512)) /dev/mapper/cut; head -c $((4103 * 512)) /dev/zero; } >/tmp/wanted
check "… shows the base, and zeroes" cmp /tmp/wanted /dev/mapper/w
dmsetup remove w
dmsetup remove st
dmsetup remove cut
check "… metadata is sound" dmcommit check /dev/sda

# A volume that ends within a block of the base's: the last one is written as a whole, and
# what lies behind the volume stays what it was.
make_disk mid 32
dmcommit format /dev/mid --name st --chunk-size 1M >/dev/null
attach_store st /dev/mid
dd if=/dev/urandom of=/dev/sda bs=64k count=32 oflag=direct 2>/dev/null
dmsetup message st 0 create_volume 1 4089 v
dmsetup create v --table "$(stack_line 1 4088 /dev/sda st)"
dd if=/dev/sda of=/tmp/wanted bs=4k count=513 2>/dev/null
dd if=/dev/urandom of=/tmp/sector bs=4k count=1 2>/dev/null
dd if=/tmp/sector of=/tmp/wanted bs=4k seek=510 conv=notrunc 2>/dev/null
dd if=/tmp/sector of=/dev/mapper/v bs=4k seek=510 oflag=direct 2>/dev/null
dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "a commit of a volume that ends within a block of the base's"
dmsetup remove v
dmsetup remove st
dd if=/dev/sda of=/tmp/found bs=4k count=513 iflag=direct 2>/dev/null
check "… is on the base" cmp /tmp/wanted /tmp/found

# So it is with zeroes, which a volume has there from before, over a disk of smaller blocks.
dmcommit format /dev/mid --name st --chunk-size 1M --force >/dev/null
attach_store st /dev/mid
dmsetup create cut --table "0 4089 linear /dev/small 0"
dmsetup message st 0 create_volume 1 4089 v
dmsetup create v --table "$(stack_line 1 4089 /dev/mapper/cut st)"
blkdiscard -o 1M -l $((4089 * 512 - 1048576)) /dev/mapper/v
dmsetup remove v
dmsetup remove cut
dd if=/dev/urandom of=/dev/sda bs=64k count=32 oflag=direct 2>/dev/null
dd if=/dev/sda of=/tmp/wanted bs=4k count=513 iflag=direct 2>/dev/null
dd if=/dev/zero of=/tmp/wanted bs=512 seek=2048 count=2041 conv=notrunc 2>/dev/null
dmsetup create v --table "$(stack_line 1 4088 /dev/sda st accept_base 1)"
dmsetup message v 0 commit start verify 1
is "$(wait_for_job v)" completed "… and one of zeroes"
dmsetup remove v
dmsetup remove st
dd if=/dev/sda of=/tmp/found bs=4k count=513 iflag=direct 2>/dev/null
check "… is on the base, and what lies behind the volume stays" cmp /tmp/wanted /tmp/found

# Pieces of 512 bytes, written over disks of such blocks; then base, store or both are
# copied to disks of 4096. The module refuses what it would have to ask of those; the
# tool commits, by whole blocks, and then there is nothing left to refuse.
make_disk base5 8
make_disk store5 12
# copy FROM TO: a device, to another or to a file
copy()
{
	dd if="$1" of="$2" bs=64k iflag=direct "oflag=$([ -b "$2" ] && echo direct || echo sync)" 2>/dev/null
}
dd if=/dev/urandom of=/dev/base5 bs=64k oflag=direct 2>/dev/null
copy /dev/base5 /tmp/wanted
dmcommit format /dev/store5 --name st --chunk-size 4K >/dev/null
attach_store st /dev/store5
dmsetup message st 0 create_volume 1 16384 v
dmsetup create v --table "$(stack_line 1 16384 /dev/base5 st)"
# write COUNT SEED: single sectors, anywhere
write()
{
	local i sector
	RANDOM=$2

	for ((i = 0; i < $1; i++)); do
		sector=$((RANDOM % 16384))
		dd if=/dev/urandom bs=512 count=1 2>/dev/null | tee /tmp/sector |
			dd of=/dev/mapper/v bs=512 seek="$sector" oflag=direct iflag=fullblock 2>/dev/null
		dd if=/tmp/sector of=/tmp/wanted bs=512 seek="$sector" conv=notrunc 2>/dev/null
	done
}
write 40 1
dmsetup message v 0 snapshot
write 20 2
blkdiscard -z -o 512 -l 3584 /dev/mapper/v
dd if=/dev/zero of=/tmp/wanted bs=512 seek=1 count=7 conv=notrunc 2>/dev/null
check "pieces of 512 bytes, in two layers" cmp /tmp/wanted /dev/mapper/v
dmsetup remove v
dmsetup remove st
for pair in 'base4 store5' 'base5 store4' 'base4 store4'; do
	read -r base store <<<"$pair"
	make_disk b 8 blocksize=$([ "$base" = base4 ] && echo 4096 || echo 512)
	make_disk s 12 blocksize=$([ "$store" = store4 ] && echo 4096 || echo 512)
	copy /dev/base5 /dev/b
	copy /dev/store5 /dev/s
	attach_store st /dev/s
	check_fails "$pair: the stack does not come up" \
		dmsetup create v --table "$(stack_line 1 16384 /dev/b st)"
	like "$(dmesg | tail -n 5)" "layers hold less than whole 4096-byte blocks: commit offline" \
		"… and says why"
	dmsetup remove st
	check "$pair: the tool commits" dmcommit start v --offline --store /dev/s --base /dev/b --verify
	copy /dev/b /tmp/found
	check "… all of it" cmp /tmp/wanted /tmp/found
	attach_store st /dev/s
	check "… and it comes up" dmsetup create v --table "$(stack_line 1 16384 /dev/b st)"
	check "… with the same content" cmp /tmp/wanted /dev/mapper/v
	dmsetup remove v
	dmsetup remove st
	check "$pair: metadata is checked" dmcommit check /dev/s
	dmcommit dump /dev/s --output /tmp/dump
	rm -f /tmp/backup
	for block in 0 16; do
		dd if=/dev/zero of=/dev/s bs=4096 seek=$block count=1 oflag=direct 2>/dev/null
	done
	check "… repaired, without its superblocks" dmcommit check /dev/s --repair --yes --backup /tmp/backup
	check "… and as before" dmcommit restore /dev/s --from /tmp/backup
	check_fails "… when it was no store" dmcommit check /dev/s
	check "… restored" dmcommit restore /dev/s --from /tmp/dump
	dmcommit dump /dev/s --output /tmp/again
	check "… to the same" cmp /tmp/dump /tmp/again
	remove_disk b
	remove_disk s
done
check "the module unloads" rmmod dm_cowstack
echo "# totals: blocks=$((4 * cuts))"
done_testing
