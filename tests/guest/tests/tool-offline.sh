#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 512 --cpus 1 --timeout 300
# dmcommit start --offline and the module take each other's unfinished commits up; what
# offline commands refuse of devices in use; a store that was dumped and restored comes up.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh

sum_of()
{
	sha256sum <"$1" | cut -d' ' -f1
}

# is_refused TEXT COMMAND…: with status 4
is_refused()
{
	local status=0

	"${@:2}" >/dev/null 2>/tmp/error || status=$?
	is "$status" 4 "$1"
	[ "$status" -eq 4 ] || diag "$(cat /tmp/error)"
}

modprobe dm-cowstack
make_disk hdd 32
make_disk ssd 48
dd if=/dev/urandom of=/dev/hdd bs=1M oflag=direct 2>/dev/null
dmcommit format /dev/ssd --name st
dmcommit create vm --base /dev/hdd --store /dev/ssd
fill()
{
	dd if=/dev/urandom of=/dev/mapper/vm bs=64K count=60 seek="$1" oflag=direct conv=fsync 2>/dev/null
}
fill 10
dmcommit snapshot vm
fill 150
blkdiscard -z -o 20971520 -l 1048576 /dev/mapper/vm
wanted=$(sum_of /dev/mapper/vm)
offline=(dmcommit start vm --offline --store /dev/ssd --base /dev/hdd)

is_refused "offline: the store is in use" "${offline[@]}"
is_refused "dump: the store is in use" dmcommit dump /dev/ssd
is_refused "repair: the store is in use" dmcommit check /dev/ssd --repair --yes
dmcommit down vm
dmcommit detach st

# Killed in the middle; the module goes on.
"${offline[@]}" --speed 2M >/dev/null 2>&1 &
sleep 2
kill -9 $!
wait $! 2>/dev/null
is "$(dmcommit dump /dev/ssd | sed -n 's/^job kind=commit state=\([a-z]*\) .*/\1/p')" running \
	"an offline commit that was killed is recorded as running"
check "up again" dmcommit up vm --base /dev/hdd --store /dev/ssd
is "$(sum_of /dev/mapper/vm)" "$wanted" "the volume shows the same"
is "$(wait_for_job vm)" completed "the module takes it to its end"
is "$(sum_of /dev/mapper/vm)" "$wanted" "and it shows the same"
is "$(status_field vm 6)" valid "the base is valid"
is "$(sum_of /dev/hdd)" "$wanted" "and alone the same"

# And the other way round.
fill 250
wanted=$(sum_of /dev/mapper/vm)
dmcommit start vm --speed 1M
sleep 1
is "$(status_field vm 7)" running "a commit runs"
dmcommit down vm
is_refused "offline: the store is attached" "${offline[@]}"
dmcommit detach st
check "offline it goes on" "${offline[@]}"
is "$(sum_of /dev/hdd)" "$wanted" "the base alone shows the same"
check "dumped" dmcommit dump /dev/ssd --output /tmp/dump
dd if=/dev/zero of=/dev/ssd bs=4096 count=17 oflag=direct 2>/dev/null
check "restored" dmcommit restore /dev/ssd --from /tmp/dump
check "up once more" dmcommit up vm --base /dev/hdd --store /dev/ssd
is "$(sum_of /dev/mapper/vm)" "$wanted" "the volume shows the same"
fill 350
wanted=$(sum_of /dev/mapper/vm)
is_refused "offline: the base is in use" "${offline[@]}"
check "an online commit" dmcommit start vm --wait
is "$(sum_of /dev/hdd)" "$wanted" "ends in what was written"
dmcommit down vm
dmcommit detach st
done_testing
