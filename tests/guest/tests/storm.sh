#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1536 --cpus 4 --timeout 1800 --add build/tests/mirror_io --add build/tests/dm_storm
# debug: - 20
# debug kernel: in check
# Everything that a stack and its store can be told, by eight callers in any order, for a
# minute, under eight writers; then the content is that of a plain disk that was written
# alike, and after a last commit so is the base alone.
# Arguments: seed ("-": any), seconds.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh

seed=${1:--}
[ "$seed" != - ] || seed=$((RANDOM * 32768 + RANDOM))
seconds=${2:-60}
diag "seed $seed, $seconds s"
modprobe dm-cowstack
make_disk ssd 640 cache_size=16
make_disk base 24 cache_size=16
make_disk shadow 24
size=$((24 * 2048))

dmcommit format /dev/ssd --name st >/dev/null
dd if=/dev/urandom of=/dev/base bs=1M count=24 oflag=direct status=none
dd if=/dev/base of=/dev/shadow bs=1M oflag=direct status=none
attach_store st /dev/ssd
dmsetup message st 0 create_volume 1 "$size" v
# Clones over the same base hold data while the volume is committed.
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st allow_shared_base 1)"

unpin_all()
{
	local layer

	for layer in $(dmsetup message v 0 layers | awk '$6 == "pinned" { print $1 }'); do
		dmsetup message v 0 unpin "$layer"
	done
}

# The kernel keeps little of it.
keep_log()
{
	dmesg -c >>/tmp/log
}

# Writes that wait for room must not wait for chance alone.
make_room()
{
	while sleep 1 && [ ! -e /tmp/stormed ]; do
		keep_log
		[ "$(status_value st parked)" != 0 ] || continue
		unpin_all
		dmsetup message v 0 commit start speed 0
		dmsetup message v 0 commit speed 0
	done >/dev/null 2>&1
}
make_room &
janitor=$!

mirror_io /dev/mapper/v /dev/shadow "$seed" "$((seconds - 2))s" 8 coarse >/tmp/work &
writers=$!
timeout $((seconds + 600)) dm_storm v st "$seconds" "$seed" 8 \
	start start start start stream pause resume resume resume cancel speed speed until \
	start start start start stream pause resume resume resume cancel speed speed until \
	status table layers errors snapshot make_empty drop pin set create clone delete delete \
	status table layers errors snapshot make_empty drop pin set create clone delete delete \
	suspend noflush reload store_suspend store_reload >/tmp/times
is "$? $(grep unexpected /tmp/times)" "0 " "whatever was said was done or refused"
wait $writers
is "$? $(cat /tmp/work)" "0 " "each writer reads what it wrote, and all of it is right at the end"
# Not killed: what it tells the stack must not come later.
: >/tmp/stormed
wait $janitor
diag "done, refused, longest:"
diag "$(cat /tmp/times)"
diag "$(dmsetup status v)"
diag "$(dmsetup status st)"

# No device has failed.
keep_log
is "$(grep -o "cowstack v: .* stopped: error.*" /tmp/log | sort | uniq -c)" "" "no job has met an error"
dmsetup message v 0 commit cancel 2>/dev/null
# The one before may still be at its last batch.
wait_for_job v >/dev/null
commits "a last commit completes"
is "$(base_alone)" valid "the base is valid"
blockdev --flushbufs /dev/base
blockdev --flushbufs /dev/shadow
check "the base alone is the volume" cmp /dev/base /dev/shadow
check "the content is the same" cmp /dev/mapper/v /dev/shadow

check "the stack comes down" dmsetup remove v
check "and the store" dmsetup remove st
check "the store is clean" dmcommit check /dev/ssd
attach_store st /dev/ssd
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
check "after a load the content is the same" cmp /dev/mapper/v /dev/shadow
for layer in $(layers | cut -s -d' ' -f2-); do
	check "make_empty $layer" dmsetup message v 0 make_empty "$layer"
	check "drop $layer" dmsetup message v 0 drop "$layer"
done
is "$(status_field v 4)" 0 "nothing is held any more"
is "$(wait_for_value st freeing 0)" 0 "nor on its way to be free"

check "the content is the same" cmp /dev/mapper/v /dev/shadow
dmsetup remove v
dmsetup remove st
check "the module unloads" rmmod dm_cowstack
read -r _ messages refused < <(grep '^all ' /tmp/times)
echo "# totals: storm_seconds=$seconds messages=$messages refused=$refused"
check "the store is clean" dmcommit check /dev/ssd
done_testing
