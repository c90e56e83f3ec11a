#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 600
# debug: 1 1
# fio writes with a checksum in each block and reads back what it wrote, on a stack and on
# a file system on it, in blocks of many sizes, by several jobs, while snapshots are
# taken, commits run, are cancelled and clean copies go. Then the base alone is verified.
# The first argument is how many rounds each takes, the second MiB for a job.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh
. /lib/cowstack-tests/judges.sh

rounds=${1:-2}
job_megabytes=${2:-3}
jobs=4
megabytes=64

# describe_jobs FILENAME ROUND: fio's job file. Each job has a part of the device to
# itself, so that a block is verified by who wrote it.
describe_jobs()
{
	local i part=$((megabytes / 2 / jobs))
	local sizes=(512-64k 4k-4k 512-8k 4k-256k)

	cat <<-END
	[global]
	iodepth=8
	direct=1
	verify=crc32c
	verify_fatal=1
	verify_dump=0
	do_verify=1
	randrepeat=1
	fallocate=none
	END
	for ((i = 0; i < jobs; i++)); do
		cat <<-END
		[job$i]
		filename=$1
		rw=randwrite
		offset=$((i * part))m
		size=${part}m
		io_size=${job_megabytes}m
		bsrange=${sizes[i]}
		randseed=$(($2 * 100 + i))
		$(if [ $((i % 2)) -eq 0 ]; then
			echo ioengine=io_uring
		else
			printf '%s\n' ioengine=libaio verify_backlog=64 fsync=32
		fi)
		END
	done
}

# fio_passes TEXT FILE OPTION…
fio_passes()
{
	local text=$1 file=$2 output status=0
	shift 2

	output=$(fio --output-format=terse --terse-version=3 "$@" "$file" 2>&1) || status=$?
	is "$status" 0 "$text"
	[ "$status" -eq 0 ] || diag "$(grep -v '^3;' <<<"$output" | head -n 12)"
}

# verify_beside TEXT FILENAME ROUND: with all that can happen to layers
verify_beside()
{
	local try

	start_disturbing 0.2
	describe_jobs "$2" "$3" >/tmp/jobs
	# The same once more where it was over too soon
	for try in 1 2 3 4 5 6 7 8 9; do
		fio_passes "$1" /tmp/jobs
		! was_disturbed || break
	done
	stop_disturbing
}

# Only the last blocks of each place are there: verify_only knows which those are, as it
# runs through the same numbers.
verify_again()
{
	fio_passes "$1" /tmp/jobs --verify_only
}

commit_all()
{
	commit_rest "a commit of the rest completes"
	drop_copies
	is "$(base_alone) $(status_field v 2)" "valid 1" "the base is all there is"
}

test_raw()
{
	local round

	for ((round = 0; round < rounds; round++)); do
		# What is written next lies in clean copies, which then go.
		start_again retain 1
		is "$(wait_for_job v)" completed "a commit that leaves copies"
		verify_beside "fio verifies the stack, round $round" \
			/dev/mapper/v "$round"
		verify_again "all of it is still there"
	done
	commit_all
	sed -i 's,^filename=.*,filename=/dev/hdd,' /tmp/jobs
	verify_again "fio verifies the base alone"
}

test_file_system()
{
	local round

	check "a file system" mkfs.ext4 -q -F /dev/mapper/v
	check "mounted" mount -o discard /dev/mapper/v $mnt
	for ((round = 0; round < rounds; round++)); do
		rm -f $mnt/file
		truncate -s $((megabytes / 2))M $mnt/file
		verify_beside "fio verifies files, round $round" $mnt/file \
			$((round + 50))
	done
	check "unmounted" umount $mnt
	check "e2fsck of the stack" e2fsck -f -n /dev/mapper/v
	commit_all
	# fio wants to be able to write.
	make_overlay
	check "a copy of the base is mounted" mount /dev/mapper/alone $mnt
	verify_again "fio verifies the base's file"
	check "unmounted" umount $mnt
	remove_overlay
	check "e2fsck of the base" fsck_fs ext4 /dev/hdd
}

[ -f /lib/cowstack/dm-cowstack.ko ] || skip_all "no module was built"
modprobe dm-cowstack
make_stack $megabytes 128
test_raw
test_file_system
no_file_system_errors
remove_stack
check "the module unloads" rmmod dm_cowstack
done_testing
