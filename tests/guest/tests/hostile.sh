#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 512 --cpus 1 --timeout 900
# guest: --add tests/crash/build/hostile_test --add tests/crash/build/hostile.tar
# debug kernel: in check stores --count 25
# Damaged stores with right checksums, and table lines and messages with any words in
# them: what core refuses in userspace the module refuses too, by the same errno; what it
# takes can be used, shows the same through all that is done, and is left whole.
# Arguments: "stores" or "lines", and options of hostile_test.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/refusals.sh
. /lib/cowstack-tests/problems.sh
. /lib/cowstack-tests/quiet_log.sh

modprobe dm-cowstack
# Each refusal is a line there.
quiet_log
make_disk ssd 24
make_disk ssd2 16
make_disk base 8
make_disk base2 8
tar -xf /usr/local/bin/hostile.tar -C /tmp
xz -d /tmp/hostile/golden/*.xz

# offer TEXT MODE OPTION…
offer()
{
	local status=0

	hostile_test "${@:2}" /tmp/hostile || status=$?
	is "$status" 0 "$1"
}

offer_stores()
{
	dd if=/dev/urandom of=/dev/base bs=1M 2>/dev/null
	offer "damaged stores" stores "$@"
	dmsetup remove_all
}

offer_lines()
{
	dmcommit format /dev/ssd --name st --force >/dev/null
	dmcommit format /dev/ssd2 --name other >/dev/null
	attach_store st /dev/ssd
	dmsetup message st 0 create_volume 1 $((8 * 2048)) vm
	dmsetup message st 0 create_volume 2 $((8 * 2048)) other
	dmsetup create v --table "$(stack_line 1 $((8 * 2048)) /dev/base st)"
	offer "table lines and messages" lines "$@"
	dmsetup remove v
	dmsetup remove st
	check "the store is left whole" dmcommit check /dev/ssd
}

case ${1:-} in
"")
	offer_stores --count 100 --check-every 5 --seed 5
	offer_lines --count 500
	;;
*) "offer_$1" "${@:2}" ;;
esac
nothing_left
end_quiet_log
done_testing
