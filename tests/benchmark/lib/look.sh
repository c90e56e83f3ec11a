# SPDX-License-Identifier: GPL-2.0
# What the parts look-N have in common. Sourced by them:
#
#	. measure.sh
#	. look.sh
#	look_at_processors N
#
# Throughput with a job on each processor, and with one alone, on dm-linear and cowstack
# by turns. The emulator's processors share those of the machine: a look at whether a lock
# is in the way, nothing more.

for_a_while=(--time_based --runtime=2)

# throughput PATH JOBS OPTION…: $iops
throughput()
{
	fio --name=x --direct=1 --norandommap --disk_util=0 --eta=never --ioengine=libaio --iodepth=32 \
		--group_reporting --output-format=json \
		--output=/tmp/fio.json --filename="$1" --numjobs="$2" "${@:3}" || return
	iops=$(awk -F '[:,]' '/"iops" :/ && $2 > most { most = $2 } END { print int(most) }' \
		/tmp/fio.json)
}

# take_turns WORK JOBS OPTION…: the best of three, of each
take_turns()
{
	local device turn
	declare -A best=([linear]=0 [cowstack]=0)

	for turn in 1 2 3; do
		for device in linear cowstack; do
			[ "$1" != first ] || renew $device
			throughput "/dev/mapper/$device" "$2" "${@:3}" || {
				fail "$1 $device"
				continue
			}
			[ "$iops" -le "${best[$device]}" ] || best[$device]=$iops
		done
	done
	for device in linear cowstack; do
		result "look-$1-$processors.jobs$2" $device "${best[$device]}" IOPS
	done
}

# renew DEVICE: over the wide base, and nothing is written yet
renew()
{
	[ "$1" = cowstack ] || return 0
	[ $volume = 1 ] || delete_stack cowstack store $volume
	volume=$((volume + 1))
	make_stack cowstack store $volume /dev/wide
}

look_at_processors()
{
	local jobs

	processors=$1
	volume=1
	make_ssd ssd 1024 discard=0 submit_queues="$processors"
	make_ssd base 128 discard=0 submit_queues="$processors"
	make_ssd wide 8192 discard=0 submit_queues="$processors" memory_backed=0
	fill /dev/ssd
	fill /dev/base
	make_linear linear /dev/base
	make_store store /dev/ssd
	make_stack cowstack store 1 /dev/base
	for jobs in 1 "$processors"; do
		take_turns read-base "$jobs" --rw=randread --bs=4k "${for_a_while[@]}"
	done
	fill /dev/mapper/cowstack
	for jobs in 1 "$processors"; do
		take_turns rewrite "$jobs" --rw=randwrite --bs=4k "${for_a_while[@]}"
	done
	delete_stack cowstack store 1
	for jobs in 1 "$processors"; do
		take_turns first "$jobs" --rw=randwrite --bs=4k --blockalign=64k \
			--number_ios=$((8000 / jobs))
	done
	remove_devices linear cowstack store
}
