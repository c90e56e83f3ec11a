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
waits=
MiB=1048576

# begin_part ARG…: a part's own arguments
begin_part()
{
	case ${1:-} in
	--quick)
		quick=yes
		ios=2000
		;;
	--waits) waits=yes ;;
	esac
	modprobe -a dm-mod dm-cowstack
	modprobe null_blk nr_devices=0
	part_failed=0
	# Nothing of the kernel's own beside what is measured.
	echo 0 >/proc/sys/kernel/watchdog 2>/dev/null || true
}

end_part()
{
	echo "about kernel $(uname -r)"
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

# take_counts DISK…: remembers what has come to each
declare -A counts_before
take_counts()
{
	local disk

	for disk in "$@"; do
		counts_before[$disk]=$(cat "/sys/block/$disk/stat")
	done
}

# counts_since NAME DISK…: what has come to them since, of all: reads, read (sectors),
# writes, written, discards, flushes
counts_since()
{
	local disk i sum=0 before now

	case $1 in
	reads) i=0 ;;
	read) i=2 ;;
	writes) i=4 ;;
	written) i=6 ;;
	discards) i=11 ;;
	flushes) i=15 ;;
	esac
	for disk in "${@:2}"; do
		read -r -a before <<<"${counts_before[$disk]}"
		read -r -a now <<<"$(cat "/sys/block/$disk/stat")"
		sum=$((sum + now[i] - before[i]))
	done
	echo $sum
}

# --- time, which is instructions: a nanosecond each ---

# now_us: microseconds, without a process (a fork is a million instructions)
now_us()
{
	now=${EPOCHREALTIME/./}
}

# timed_ns COMMAND…: runs it; $elapsed_ns is how long that took
timed_ns()
{
	local begin

	now_us
	begin=$now
	"$@" || return
	now_us
	elapsed_ns=$(((now - begin) * 1000))
}

# --- fio ---

ios=4000

# What it calibrates at its beginning is a hundred million instructions; with a clock that
# it need not choose, once and not twice.
run_fio()
{
	fio --clocksource=cpu --direct=1 --randseed=7 --norandommap --disk_util=0 --eta=never \
		--output=/tmp/fio.out "$@" "${fio_jobs[@]:---name=x}" && return
	cat /tmp/fio.out >&2
	return 1
}

# fio_ns COUNT DEPTH PATH OPTION…: $ns is what one of COUNT I/Os takes with DEPTH in
# flight: fio's mean latency, which has nothing of fio's own beginning and end, with that
# of the fdatasync behind it if there is one. Of several depths ("1 32"), one behind the
# other, a word for each. With writes_each of N: of N writes and one fdatasync.
writes_each=1
fio_ns()
{
	local depth engine fio_jobs=()

	for depth in $2; do
		engine=psync
		[ "$depth" = 1 ] || engine=libaio
		fio_jobs+=(--name="depth$depth" --stonewall --iodepth="$depth" --ioengine=$engine)
	done
	run_fio --number_ios="$1" --filename="$3" "${@:4}" --output-format=json || return
	ns=$(awk -v depths="$2" -v writes="$writes_each" '
		/"jobname" :/ { job++ }
		/"(read|write|sync|trim)" : \{/ { times = $1 ~ /write/ ? writes : 1 }
		/"lat_ns" : \{/ { inside = 1 }
		inside && /"mean" :/ { sum[job] += $3 * times; inside = 0 }
		END {
			count = split(depths, depth, " ")
			for (i = 1; i <= count; i++) {
				if (!sum[i])
					exit 1
				printf("%s%.0f", i > 1 ? " " : "", sum[i] / depth[i])
			}
		}' /tmp/fio.out)
}

# results FIGURE…:DEVICE SUFFIX VALUE UNIT: the same measurement serves several figures
results()
{
	local figure

	for figure in ${1%:*}; do
		result "$figure$2" "${1##*:}" "$3" "$4"
	done
}

# measure_at "DEPTH…" "FIGURE…:DEVICE" COUNT PATH OPTION…
measure_at()
{
	local depth

	fio_ns "$3" "$1" "${@:4}" || {
		fail "$2 at depth $1"
		return
	}
	for depth in $1; do
		results "$2" ".qd$depth" "${ns%% *}" ns
		ns=${ns#* }
	done
}

# measure_one "FIGURE…:DEVICE" COUNT PATH OPTION…: with one I/O in flight
measure_one()
{
	measure_at 1 "$@"
}

# measure "FIGURE…:DEVICE" COUNT PATH OPTION…: with 1 and with 32 I/Os in flight
measure()
{
	if [ -n "$quick" ]; then
		measure_at 1 "$@"
	else
		measure_at "1 32" "$@"
	fi
}

# --- devices ---

# fill DEVICE: every page of it is there from now on and on its way out of its cache
fill()
{
	must dd if=/dev/zero of="$1" bs=1M oflag=direct conv=fsync count=$(($(sectors_of "$1") / 2048))
}

# make_linear NAME DEVICE
make_linear()
{
	must dmsetup create "$1" --table "0 $(sectors_of "$2") linear $2 0"
}

# make_store NAME DEVICE: formatted, and up
make_store()
{
	must dmcommit format --force "$2"
	must attach_store "$1" "$2"
}

# make_stack NAME STORE ID BASE [SECTORS]: a new volume, and up
make_stack()
{
	local sectors=${5:-$(sectors_of "$4")}

	must dmsetup message "$2" 0 "create_volume $3 $sectors $1"
	must dmsetup create "$1" --table "$(stack_line "$3" "$sectors" "$4" "$2")"
}

# add_layers STACK COUNT
add_layers()
{
	local i

	for ((i = 0; i < $2; i++)); do
		must dmsetup message "$1" 0 snapshot
	done
}

# write_apart DEVICE KIB FIRST EVERY: KIB of each EVERY KiB, from FIRST KiB on, once
write_apart()
{
	must run_fio --filename="$1" --ioengine=psync --bs="$2k" --offset="$3k" \
		--rw=write:$(($4 - $2))k --number_ios=$(($(sectors_of "$1") / 2 / $4))
}

# delete_stack NAME STORE ID: and its room is free again
delete_stack()
{
	must dmsetup remove "$1"
	must dmsetup message "$2" 0 "delete_volume $3"
	wait_for_value "$2" freeing 0 >/dev/null
}

# --- peers ---

# make_snapshot NAME ORIGIN COW CHUNK-SECTORS
make_snapshot()
{
	must dd if=/dev/zero of="$3" bs=4k count=1 oflag=direct
	must dmsetup create "$1" --table \
		"0 $(sectors_of "$2") snapshot $2 $3 P $4"
}

# make_pool NAME METADATA DATA: of 64 KiB blocks
make_pool()
{
	must dd if=/dev/zero of="$2" bs=4k count=1 oflag=direct
	must dmsetup create "$1" --table \
		"0 $(sectors_of "$3") thin-pool $2 $3 128 0 1 skip_block_zeroing"
}

# make_thin NAME POOL ID ORIGIN: over an external origin
make_thin()
{
	must dmsetup message "$2" 0 "create_thin $3"
	must dmsetup create "$1" --table \
		"0 $(sectors_of "$4") thin /dev/mapper/$2 $3 $4"
}

# make_writecache NAME ORIGIN CACHE: that never writes back: 6.1's falls over its own list
# when it does so for a cache that was filled
make_writecache()
{
	must dd if=/dev/zero of="$3" bs=4k count=1 oflag=direct
	must dmsetup create "$1" --table \
		"0 $(sectors_of "$2") writecache s $2 $3 4096 4 high_watermark 100 low_watermark 100"
}

# make_cache NAME ORIGIN METADATA CACHE
make_cache()
{
	must dd if=/dev/zero of="$3" bs=4k count=1 oflag=direct
	must dmsetup create "$1" --table \
		"0 $(sectors_of "$2") cache $3 $4 $2 128 1 writeback default 0"
}

# make_clone NAME SOURCE METADATA DESTINATION: that copies only what is written
make_clone()
{
	must dd if=/dev/zero of="$3" bs=4k count=1 oflag=direct
	must dmsetup create "$1" --table \
		"0 $(sectors_of "$2") clone $3 $4 $2 128 1 no_hydration"
}

remove_devices()
{
	local name

	for name in "$@"; do
		must dmsetup remove "$name"
	done
}
