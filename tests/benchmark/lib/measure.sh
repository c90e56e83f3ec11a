# SPDX-License-Identifier: GPL-2.0
# For the parts of the benchmark: disks, devices, measured runs. Sourced by bash:
#
#	. measure.sh
#	begin_part "$@"
#	make_ssd ssd 2048
#	result read-base-1.qd1 linear "$ns" ns
. /lib/cowstack-tests/devices.sh

set -u
quick=
MiB=1048576

# begin_part ARG…: a part's own arguments
begin_part()
{
	[ "${1:-}" != --quick ] || quick=yes
	modprobe -a dm-mod dm-cowstack
	modprobe null_blk nr_devices=0
	part_failed=0
	# Nothing of the kernel's own beside what is measured.
	echo 0 >/proc/sys/kernel/watchdog 2>/dev/null || true
}

end_part()
{
	exit "$part_failed"
}

progress()
{
	echo "$(cut -d' ' -f1 /proc/uptime) $*" >&2
}

# result FIGURE DEVICE VALUE UNIT
result()
{
	echo "result $1 $2 $3 $4"
	progress "$1 $2: $3 $4"
}

# fail TEXT: a measurement that could not be made
fail()
{
	progress "failed: $*"
	part_failed=1
}

# must COMMAND…: setting up; the part ends if it fails
must()
{
	"$@" >/tmp/must 2>&1 && return
	cat /tmp/must >&2
	progress "failed: $*"
	exit 1
}

# --- stand-ins for disks, as figures.md has them ---

# make_ssd NAME MB [ATTRIBUTE=VALUE]…: memory, requests end where they are sent
make_ssd()
{
	make_disk "$1" "$2" irqmode=0 submit_queues=1 "${@:3}"
	echo none >"/sys/block/$1/queue/scheduler" 2>/dev/null || true
}

# make_hdd NAME MB: 4 ms a request, one at a time, 1.25 MiB at most, mq-deadline
make_hdd()
{
	make_disk "$1" "$2" irqmode=2 completion_nsec=4000000 submit_queues=1 \
		hw_queue_depth=1 queue_mode=2 max_sectors=2560
	must modprobe mq-deadline
	echo mq-deadline >"/sys/block/$1/queue/scheduler"
}

# --- counting requests ---

# take_counts DISK: remembers what has come to it
take_counts()
{
	counts_before=$(cat "/sys/block/$1/stat")
	counts_disk=$1
}

# counts_since NAME: of the disk of take_counts: reads, read (sectors), writes, written,
# discards, flushes
counts_since()
{
	local before now i
	read -r -a before <<<"$counts_before"
	read -r -a now <<<"$(cat "/sys/block/$counts_disk/stat")"

	case $1 in
	reads) i=0 ;;
	read) i=2 ;;
	writes) i=4 ;;
	written) i=6 ;;
	discards) i=11 ;;
	flushes) i=15 ;;
	esac
	echo $((now[i] - before[i]))
}

# --- time, which is instructions: a nanosecond each ---

# now_us: microseconds, without a process (a fork is a million instructions)
now_us()
{
	now=${EPOCHREALTIME/./}
}

# timed_ns COMMAND…: runs it, $elapsed_ns is how long that took
timed_ns()
{
	local begin
	now_us
	begin=$now
	"$@" || return
	now_us
	elapsed_ns=$(((now - begin) * 1000))
}
