# SPDX-License-Identifier: GPL-2.0
# Runs a machine that make-machine has made in $work. Sourced by bash, with $kernel set to
# the kernel's directory.

kernel_words()
{
	echo console=ttyS0 root=/dev/mapper/sys rw panic=-1 oops=panic mitigations=off \
		tsc=reliable random.trust_cpu=on no_timer_check cryptomgr.notests \
		watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=100 \
		systemd.default_timeout_start_sec=500 systemd.default_device_timeout_sec=500 \
		"test.phase=$1"
}

# start_machine PHASE: what its script says goes to $work/PHASE, a file that it hands out
# to $work/PHASE.sums, the kernel's log to $work/PHASE.log; sets $machine
start_machine()
{
	local name options=()

	for name in sys sysstore datastore data; do
		options+=(-drive "file=$work/$name,format=raw,if=none,id=$name,cache=unsafe"
			-device "virtio-blk-pci,drive=$name,serial=$name")
	done
	qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max -smp 2 -m 768 \
		-display none -no-reboot -nodefaults -kernel "$kernel/vmlinux" \
		-initrd "$work/initrd" "${options[@]}" -append "$(kernel_words "$1")" \
		-serial "file:$work/$1.log" -serial "file:$work/$1" -serial "file:$work/$1.sums" \
		</dev/null >/dev/null 2>"$work/$1.errors" &
	machine=$!
}

# wait_for PHASE WORD SECONDS: until the script has said "PHASE: WORD"
wait_for()
{
	local end=$((SECONDS + $3))

	while [ "$SECONDS" -lt "$end" ] && kill -0 "$machine" 2>/dev/null; do
		! grep -qa "^$1: $2" "$work/$1" 2>/dev/null || return 0
		sleep 0.3
	done
	return 1
}

cut_power()
{
	kill -9 "$machine" 2>/dev/null
	wait "$machine" 2>/dev/null
}

# wait_for_off SECONDS: the machine ends by itself
wait_for_off()
{
	local end=$((SECONDS + $1))

	while kill -0 "$machine" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.3
	done
	wait "$machine" 2>/dev/null
	return 0
}
