#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: format, load of a TiB of words, memory, flushes of many volumes in one step
# guest: --memory 3072 --add build/tests/stopwatch --add tests/benchmark/lib/jobs.sh
. measure.sh
. jobs.sh
begin_part "$@"

# --- format ---

make_fast ssd 1024
timed run dmcommit format /dev/ssd --name st
result format.small cowstack "$(ratio "${took[ns]}" 1000000)" ms
remove_disk ssd
make_fast ssd $((16 << 20))
timed run dmcommit format /dev/ssd --name st
result format.large cowstack "$(ratio "${took[ns]}" 1000000)" ms
remove_disk ssd

# --- 64 volumes with fdatasync at once ---

make_fast ssd 512 irqmode=2 completion_nsec=100000
make_fast base 16
must dmcommit format /dev/ssd --name st
must attach_store st /dev/ssd
devices=()
for ((i = 1; i <= 64; i++)); do
	must dmsetup message st 0 create_volume $i $((16 * 2048)) v$i
	must dmsetup create v$i --table \
		"$(stack_line $i $((16 * 2048)) /dev/base st read_only_base 1)"
	devices+=(/dev/mapper/v$i)
done
steps=$(status_value st steps)
flushes=$(status_value st flushes_served)
timed share 40 0 $((16 * MiB)) "${devices[@]}"
steps=$(($(status_value st steps) - steps))
flushes=$(($(status_value st flushes_served) - flushes))
result share-64.flushes cowstack "$(ratio $flushes $steps)" flushes/step
for ((i = 1; i <= 64; i++)); do
	must dmsetup remove v$i
done
must dmsetup remove st
remove_disk ssd

# --- memory ---

make_fast ssd 4096
must dmcommit format /dev/ssd --force --name st
must attach_store st /dev/ssd
huge=$((16 << 31))			# 16 TiB
must dmsetup message st 0 create_volume 1 $huge v
must dmsetup create v --table "$(stack_line 1 $huge /dev/base st)"
before=$(status_value st memory_bytes)
for ((i = 0; i < 64; i++)); do
	must dd if=/dev/zero of=/dev/mapper/v bs=4k count=1 \
		seek=$((i * (huge / 8 / 64) + 77)) oflag=direct
done
result memory.region cowstack \
	"$(ratio $((($(status_value st memory_bytes) - before) / 64)) 1024)" KiB
before=$(status_value st memory_bytes)
must stopwatch scatter /dev/mapper/v $((4 << 40)) $((1 << 30)) 65536 50
result memory.gib cowstack \
	"$(ratio $(($(status_value st memory_bytes) - before)) 1048576)" MiB
must dmsetup remove v
must dmsetup remove st

# --- load of 16 million words ---

tib=$((1 << 31))
[ -z "$quick" ] || tib=$((1 << 27))
must dmcommit format /dev/ssd --force --name st
must attach_store st /dev/ssd
must dmsetup message st 0 create_volume 1 $tib v
remove_disk base
make_disk base $((tib / 2048)) irqmode=0 memory_backed=0 discard=0
must dmsetup create v --table "$(stack_line 1 $tib /dev/base st)"
progress "discard of $((tib / 2048)) MiB"
must blkdiscard /dev/mapper/v
must sync /dev/mapper/v
must dmsetup remove v
must dmsetup remove st
pages=$((tib / 128 / 512))
take_counts ssd
begin_trace
timed run dmsetup create st --table "0 $(sectors_of /dev/ssd) cowstore /dev/ssd"
end_trace ssd
result load.cpu cowstack "$(ratio "${took[busy]}" 1000000000)" s
result load.pages cowstack "$(awk -v pages=$pages '
	$1 == "ssd" && $2 ~ /R/ { n += $4 }
	END { printf "%.2f", n / 8 / pages }' /tmp/requests)" x
result load.requests cowstack "$(awk -v pages=$pages '
	$1 == "ssd" && $2 ~ /R/ { n++ }
	END { printf "%.1f", pages / n }' /tmp/requests)" pages/request
must dmsetup remove st
end_part
