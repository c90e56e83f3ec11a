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
check "the module unloads" rmmod dm_cowstack
echo "# totals: blocks=$((4 * cuts))"
done_testing
