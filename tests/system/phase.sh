#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# In a machine with systemd, as its last unit: what there is to see in the boot that
# test.phase= names.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/json.sh

boot=$(sed -n 's/.*test\.phase=\([a-z]*\).*/\1/p' /proc/cmdline)
units="dmcommit.target dmcommit-store@datastore.service dmcommit-stack@data.service
	dmcommit-store@sysstore.service dmcommit-stack@sys.service"

# job_value KEY: of the commit of data
job_value()
{
	json_value "$(dmcommit status data --json | sed -n '/"job"/,$p')" "$1"
}

source_of()
{
	findmnt -n -o SOURCE "$1"
}

# entered UNIT: when it became active, in microseconds of this boot
entered()
{
	systemctl show -P ActiveEnterTimestampMonotonic "$1"
}

test_what_is_up()
{
	local uuid

	uuid=$(findmnt -n -o UUID /data)
	is "$(source_of /)" /dev/mapper/sys "$boot: the root file system is on its stack"
	is "$(source_of /data)" /dev/mapper/data \
		"$boot: /data, by its UUID, is on the stack and not on the base"
	is "$(readlink -f "/dev/disk/by-uuid/$uuid")" "$(readlink -f /dev/mapper/data)" \
		"$boot: the link by UUID is the stack's"
	is "$(systemctl is-active dev-vdd.device)" inactive \
		"$boot: the base is no device for systemd"
	is "$(systemctl is-active $units | sort -u)" active "$boot: all units are active"
	check "$boot: the stack is up before the file system is mounted" \
		test "$(entered dmcommit-stack@data.service)" -le "$(entered data.mount)"
	check "$boot: and that before local-fs.target" \
		test "$(entered data.mount)" -le "$(entered local-fs.target)"
	is "$(systemctl --failed --no-legend)" "" "$boot: no unit has failed"
	is "$(udevadm info -q property -n /dev/mapper/datastore |
		sed -n 's/^ID_FS_TYPE=//p; s/^SYSTEMD_READY=//p')" 0 \
		"$boot: nobody looks for a file system on a store"
}

content_is_right()
{
	is "$(cd /data && sha256sum --quiet -c sums 2>&1)" "" \
		"$boot: the content is what was synchronized ($(wc -l </data/sums) files)"
}

wait_for_progress()
{
	local i

	for ((i = 0; i < 600; i++)); do
		[ "$(job_value done_bytes)" = 0 ] || return
		sleep 0.1
	done
}

write_files()
{
	local i

	for ((i = 0; i < 6; i++)); do
		dd if=/dev/urandom of="/data/$1$i" bs=256k count=4 2>/dev/null
	done
	(cd /data && sha256sum [a-z]*[0-9] >sums)
	sync
}

# wait_for_state STATE SECONDS: of the commit of data
wait_for_state()
{
	local i

	for ((i = 0; i < $2; i++)); do
		[ "$(job_value state)" != "$1" ] || return 0
		sleep 1
	done
	return 1
}

# wait_for_unit UNIT STATE
wait_for_unit()
{
	local i

	for ((i = 0; i < 60; i++)); do
		[ "$(systemctl show -P ActiveState "$1")" != "$2" ] || return
		sleep 1
	done
}

# set_clock TIME: as date reads it
set_clock()
{
	date -s "$1" >/dev/null
}

# Two nights, by the unit as it is: the clock is set to just before its hour, and then to
# just before the window's end. The first commit is too slow to be through by then.
test_nightly()
{
	local service=dmcommit-commit@data.service timer=dmcommit-commit@data.timer
	local began up moved

	began=$(date +%s)
	up=$(cut -d . -f 1 /proc/uptime)
	dd if=/dev/urandom of=/data/night.x bs=256k count=48 conv=fsync 2>/dev/null
	printf 'SPEED=128K\nUNTIL=05:00\n' >/etc/default/dmcommit
	check "$boot: the timer can be enabled" systemctl enable --now $timer
	set_clock 'tomorrow 00:59:57'
	check "$boot: at its hour it starts a commit" wait_for_state running 120
	like "$(systemctl show -P LastTriggerUSec $timer)" ' 01:0[0-4]:' "$boot: not before that"
	is "$(systemctl show -P ActiveState $service)" activating "$boot: its service waits for it"
	wait_for_progress
	set_clock 'today 04:59:40'
	is "$(job_value state)" running "$boot: it runs to the window's end"
	check "$boot: there it pauses" wait_for_state paused 120
	like "$(date +%T)" '^05:0' "$boot: and not before"
	moved=$(job_value done_bytes)
	check "$boot: with something done, and not all" \
		test "$moved" -gt 0 -a "$moved" -lt "$(job_value total_bytes)"
	wait_for_unit $service inactive
	is "$(systemctl show -P Result $service)" success "$boot: which is no failure"
	printf 'UNTIL=05:00\n' >/etc/default/dmcommit
	set_clock 'tomorrow 00:59:57'
	check "$boot: the next night it goes on, to its end" wait_for_state completed 180
	is "$(json_value "$(dmcommit status data --json)" base_alone)" valid \
		"$boot: and the base alone is the volume again"
	wait_for_unit $service inactive
	is "$(systemctl show -P Result $service)" success "$boot: all is well with the service"
	systemctl disable -q --now $timer
	rm /data/night.x
	set_clock "@$((began + $(cut -d . -f 1 /proc/uptime) - up))"
}

# What a package's new version does while its stacks are up: other files in the place of the
# old ones, and systemd reads all units anew.
test_new_version()
{
	cp /usr/sbin/dmcommit /usr/sbin/new && mv /usr/sbin/new /usr/sbin/dmcommit
	check "$boot: a new version of tool and units" systemctl daemon-reload
	is "$(systemctl is-active $units | sort -u)" active "$boot: leaves all units active"
	is "$(source_of /data)" /dev/mapper/data "$boot: and the stacks up"
}

# The power goes while the machine boots, or soon after; what is written then has no sums.
phase_cut()
{
	while :; do
		dd if=/dev/urandom of=/data/noise.x bs=256k count=4 conv=fsync 2>/dev/null
	done
}

# The power goes while a commit runs, so slow that it is not through when the machine has
# booted again, be that as slow as it likes.
phase_first()
{
	test_what_is_up
	content_is_right
	write_files new
	check "$boot: a commit is started" dmcommit start data --speed 32K
	wait_for_progress
	is "$(job_value state)" running "$boot: it is running when the power goes"
	echo "$boot: cut"
	sleep 600
}

phase_second()
{
	test_what_is_up
	content_is_right
	is "$(job_value state)" running "$boot: the commit has gone on by itself"
	dmcommit speed data 0
	check "$boot: and completes" dmcommit wait data
	is "$(json_value "$(dmcommit status data --json)" base_alone)" valid \
		"$boot: the base alone is the volume"
	cat /data/sums >/dev/ttyS2
	test_new_version
	test_nightly
	check "$boot: the monitor starts" systemctl start dmcommit-monitor.service
	dd if=/dev/urandom of=/data/more bs=256k count=4 2>/dev/null
	printf 'SPEED=64M\nUNTIL=05:00\n' >/etc/default/dmcommit
	printf 'SPEED=8M\nCOMMIT_OPTIONS=--freeze\n' >/etc/default/dmcommit-data
	check "$boot: the nightly commit ends well" \
		systemctl start dmcommit-commit@data.service
	is "$(job_value limit) $(job_value state)" "8388608 completed" \
		"$boot: at the speed that is set for its volume"
	sleep 1
	systemctl stop dmcommit-monitor.service
	like "$(journalctl -q -o cat -u dmcommit-monitor.service)" \
		'stack data: job completed' "$boot: the monitor has told of it"
	cp /proc/sys/kernel/random/boot_id /boot-of-shutdown
	# Nobody synchronizes this.
	echo "written last" >/data/last
	echo "written last" >/last
	echo "$boot: off"
	systemctl poweroff
}

# How far the shutdown came is in the journal of the boot before; by that boot's id, as the
# clock was set there.
phase_third()
{
	test_what_is_up
	content_is_right
	is "$(cat /data/last /last)" "$(printf 'written last\nwritten last')" \
		"$boot: what was written before the shutdown is there"
	is "$(journalctl -q "_BOOT_ID=$(tr -d - </boot-of-shutdown)" -o cat \
		-u dmcommit-stack@data.service -u dmcommit-store@datastore.service |
		grep -c '^Stopped')" 2 \
		"$boot: stack and store were taken down in it"
	echo "$boot: off"
	echo o >/proc/sysrq-trigger
}

stty -F /dev/ttyS1 raw -echo
stty -F /dev/ttyS2 raw -echo
exec >/dev/ttyS1 2>&1
"phase_$boot"
