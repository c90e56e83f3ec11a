#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 768 --cpus 2 --timeout 400 --add build/tests/udevadm
# guest: --add /lib/udev/rules.d/55-dm.rules --add /lib/udev/rules.d/60-persistent-storage-dm.rules
# guest: --add /lib/udev/rules.d/95-dm-notify.rules --add /lib/udev/rules.d/69-lvm.rules
# guest: --add userspace/system/udev/57-dm-cowstack.rules --add userspace/system/udev/62-dm-cowstack-base.rules
# guest: --add userspace/system/udev/cowstack_role
# guest in check: --cpus 1
# dmcommit where udev runs: who makes the nodes and when they are there, what the rules
# are told, and that no semaphore is left whatever becomes of a command; by our own rules,
# that nobody looks at stores, and that bases give way to their stacks.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh

unset DM_DISABLE_UDEV

start_udev()
{
	local i

	mkdir -p /lib/udev/rules.d /run/udev
	mv /usr/local/bin/*.rules /lib/udev/rules.d
	mv /usr/local/bin/cowstack_role /lib/udev
	ln -s udevadm /usr/local/bin/systemd-udevd
	systemd-udevd --daemon --resolve-names=never
	for ((i = 0; i < 600; i++)); do
		[ ! -S /run/udev/control ] || break
		sleep 0.1
	done
	# Its socket may be there without it, and whoever waits for udev then waits for ever.
	check "udev runs" udevadm control --ping --timeout=60
	[ "$tap_failures" -eq 0 ] || done_testing
}

# Semaphores of any kind: dmcommit has none but those.
semaphores()
{
	tail -n +2 /proc/sysvipc/sem | wc -l
}

no_semaphore()
{
	is "$(semaphores)" 0 "no semaphore is left: $1"
}

# node NAME: who made it. udev makes links, libdevmapper makes nodes.
node()
{
	if [ -L "/dev/mapper/$1" ]; then
		echo udev
	elif [ -b "/dev/mapper/$1" ]; then
		echo libdevmapper
	else
		echo nobody
	fi
}

done_silently()
{
	check "$1" dmcommit "${@:2}"
}

test_nodes()
{
	local i late=0 stale=0

	done_silently "attach" attach /dev/ssd
	is "$(node st)" udev "the store's node is udev's"
	done_silently "create" create vm --base /dev/hdd --store st
	is "$(node vm)" udev "and so is the stack's"
	udevadm settle
	check "the stack is a disk for the rules" \
		test -L /dev/disk/by-id/dm-name-vm
	check "the store is none" test ! -e /dev/disk/by-id/dm-name-st
	done_silently "resize" resize vm 24M
	no_semaphore "attach, create, resize"
	for ((i = 0; i < 5; i++)); do
		dmcommit down vm
		[ "$(node vm)" = nobody ] || stale=$((stale + 1))
		dmcommit up vm --base /dev/hdd
		[ "$(node vm)" = udev ] || late=$((late + 1))
	done
	is "$late" 0 "a node is there when up returns"
	is "$stale" 0 "and gone when down does"
	done_silently "down" down vm
	no_semaphore "up and down"
}

# role DEVICE: what our rules make of it
role()
{
	udevadm settle
	udevadm info -q property -n "$1" |
		sed -n 's/^COWSTACK_ROLE=//p; s/^SYSTEMD_READY=//p; s/^UDISKS_IGNORE=//p' |
		paste -s -d ' '
}

# volume_group_is_looked_for DEVICE: when it is plugged in, by the rules of LVM, whose
# program is a stand-in here; another one has found a physical volume on that device
volume_group_is_looked_for()
{
	printf '#!/bin/sh\necho "$*" >>/tmp/lvm-calls\n' >/sbin/lvm
	chmod 755 /sbin/lvm
	echo "KERNEL==\"${1#/dev/}\", ENV{ID_FS_TYPE}=\"LVM2_member\"" \
		>/lib/udev/rules.d/60-found.rules
	udevadm control --reload
	: >/tmp/lvm-calls
	udevadm trigger --action=add --settle "/sys/block/${1#/dev/}"
	rm /lib/udev/rules.d/60-found.rules
	udevadm control --reload
	grep -q "pvscan.*$1\$" /tmp/lvm-calls
}

test_rules()
{
	local table uuid

	is "$(role /dev/hdd)" "" "nothing is said of a device that is no base"
	dmcommit up vm --base /dev/hdd
	is "$(role /dev/hdd)" "base 0 1" "a base gives way while its stack is up"
	check_fails "LVM does not look for a machine's volume group on it" \
		volume_group_is_looked_for /dev/hdd
	dmcommit format /dev/other --name st2
	dmcommit attach /dev/other
	dmcommit create upper --base /dev/mapper/vm --store st2
	is "$(role /dev/mapper/vm)" "base 0 1" "so does a lower stack"
	is "$(role /dev/mapper/upper)" "" "the upper one does not"
	dmcommit down upper
	is "$(role /dev/mapper/vm)" "" "nor the lower one, when it is the uppermost"
	dmcommit down vm
	dmcommit detach st2
	is "$(role /dev/hdd)" "" "and the base is a device like others again"
	check "also for LVM" volume_group_is_looked_for /dev/hdd
	mkdir -p /etc/dmcommit
	printf 'store\tst\t/dev/ssd\nstack other st /dev/other\nstack\tvm\tst\t/dev/hdd\tnofail\n' \
		>/etc/dmcommit/stacks.conf
	udevadm trigger --settle /sys/block/hdd /sys/block/ssd
	is "$(role /dev/hdd)" "base 0 1" "one that the list names gives way before its stack is up"
	is "$(role /dev/ssd)" "" "a store's device is no base"
	rm /etc/dmcommit/stacks.conf
	udevadm trigger --settle /sys/block/hdd
	is "$(role /dev/hdd)" "" "and is back when its line has gone"
	table=$(dmsetup table st)
	uuid=$(dmsetup info -c --noheadings -o uuid st)
	dmcommit detach st
	printf 'store\tst\t/dev/ssd\nstack\tvm\tst\t/dev/hdd\n' >/etc/dmcommit/stacks.conf
	check_fails "LVM looks at no base that is listed" volume_group_is_looked_for /dev/hdd
	udevadm trigger --action=add --settle /sys/block/hdd /sys/block/ssd
	is "$(dmsetup ls)" "No devices found" "nothing comes up because its devices were plugged in"
	rm /etc/dmcommit/stacks.conf
	udevadm trigger --settle /sys/block/hdd
	dmsetup create st --uuid "$uuid" --table "$table"
	udevadm trigger --settle /dev/mapper/st
	is "$(udevadm info -q property -n /dev/mapper/st | grep -c -e '^DM_UDEV_DISABLE_DISK_RULES_FLAG=1' \
		-e '^DM_UDEV_DISABLE_OTHER_RULES_FLAG=1' -e '^UDISKS_IGNORE=1')" 3 \
		"a store is nobody's to look at, whoever made it"
	check "it is no disk for the rules" test ! -e /dev/disk/by-id/dm-name-st
	no_semaphore "our rules"
}

test_refusals()
{
	dd if=/dev/urandom of=/dev/other bs=1M count=1 2>/dev/null
	check_fails "up over another base" dmcommit up vm --base /dev/other
	check_fails "create with what is not built" \
		dmcommit create new --base /dev/other --store st --set promote=1
	is "$(node vm) $(node new)" "nobody nobody" "neither left a node"
	is "$(dmsetup ls | wc -l)" 1 "nor a device"
	no_semaphore "refusals"
}

# state NAME: of its tables, and whether it is suspended
state()
{
	dmsetup info -c --noheadings -o suspended,tables_loaded "$1"
}

# measure COMMAND…: keeps the shortest time in whole, in microseconds
measure()
{
	local start=${EPOCHREALTIME/./} took

	timeout 60 "$@" >/dev/null
	took=$((${EPOCHREALTIME/./} - start))
	[ $took -ge $whole ] || whole=$took
}

# interrupt MICROSECONDS ARGUMENT…: the signal comes so long after the command's start
interrupt()
{
	timeout -s INT "$(($1 / 1000000)).$(printf %06d $(($1 % 1000000)))" \
		dmcommit "${@:2}" 2>/dev/null
	[ $? -ne 124 ] || cut=$((cut + 1))
}

# The signals are spread over the time that the command takes on this machine.
test_signals()
{
	local i whole=60000000 cut=0 broken=0

	for i in 1 2 3; do
		measure dmcommit up vm --base /dev/hdd
		dmcommit down vm
	done
	for ((i = 1; i <= 12; i++)); do
		interrupt $((whole * i / 12)) up vm --base /dev/hdd
		udevadm settle
		dmcommit down vm 2>/dev/null
	done
	is "$(dmsetup ls | wc -l)" 1 "interrupted ups leave nothing by half"
	check "of 12 ups, which take $((whole / 1000)) ms, $cut were interrupted" test "$cut" -gt 2
	dmcommit up vm --base /dev/hdd
	cut=0
	whole=60000000
	for i in 1 2 3; do
		measure dmcommit resize vm $((27 + i))M
	done
	for ((i = 1; i <= 12; i++)); do
		interrupt $((whole * i / 12)) resize vm $((30 + i))M
		[ "$(state vm)" = Active:Live ] || broken=$((broken + 1))
	done
	is "$broken" 0 "interrupted resizes leave the stack in use"
	check "of 12 resizes, which take $((whole / 1000)) ms, $cut were interrupted" \
		test "$cut" -gt 2
	# Nobody waited for udev, which may still have it open.
	udevadm settle
	dmcommit down vm
	is "$(state st)" Active:Live "the store is as it was"
	no_semaphore "interrupted commands"
}

test_no_semaphores()
{
	local before error status=0

	before=$(</proc/sys/kernel/sem)
	echo "250 32000 100 0" >/proc/sys/kernel/sem
	error=$(dmcommit up vm --base /dev/hdd 2>&1) || status=$?
	is "$status" 1 "up without a semaphore to be had"
	like "$error" '^dmcommit: cannot bring up vm.*no semaphore is left.*udevcookies' \
		"it says so"
	is "$(wc -l <<<"$error")" 1 "in one line"
	is "$(dmsetup ls | wc -l)" 1 "and leaves no device"
	echo "$before" >/proc/sys/kernel/sem
	done_silently "up when there is one again" up vm --base /dev/hdd
	echo "250 32000 100 0" >/proc/sys/kernel/sem
	done_silently "down does without" down vm
	echo "$before" >/proc/sys/kernel/sem
	is "$(dmsetup ls | wc -l)" 1 "it has gone"
	udevadm settle
	is "$(node vm)" nobody "and so has its node"
}

test_told_not_to()
{
	check "up with DM_DISABLE_UDEV" \
		env DM_DISABLE_UDEV=1 dmcommit up vm --base /dev/hdd
	check "the node is there" test -b /dev/mapper/vm
	# It was told not to wait for udev, which looks at the device all the same.
	udevadm settle
	check "down with it" env DM_DISABLE_UDEV=1 dmcommit down vm
	no_semaphore "DM_DISABLE_UDEV"
}

test_udev_gone()
{
	local i

	udevadm control --exit
	for ((i = 0; i < 600; i++)); do
		pidof systemd-udevd udevadm >/dev/null || break
		sleep 0.1
	done
	rm -f /run/udev/control
	done_silently "up when udev has gone" up vm --base /dev/hdd
	is "$(node vm)" libdevmapper "the node is libdevmapper's"
	done_silently "down" down vm
	is "$(node vm)" nobody "it has gone"
	done_silently "detach" detach st
	no_semaphore "without udev"
}

modprobe dm-cowstack
make_disk ssd 64
make_disk hdd 16
make_disk other 16
dmcommit format /dev/ssd --name st
start_udev
test_nodes
test_rules
test_refusals
test_signals
test_no_semaphores
test_told_not_to
test_udev_gone
check "the module unloads" rmmod dm_cowstack
done_testing
