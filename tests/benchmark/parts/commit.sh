#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# part: commits to a slow disk and to a fast one, beside snapshot-merge: speed, CPU, requests
# guest: --memory 1536 --add build/tests/stopwatch --add tests/benchmark/lib/jobs.sh
. measure.sh
. jobs.sh
begin_part "$@"
modprobe dm-snapshot

size=128
make_spindle hdd $size
make_fast sdd $size
make_fast ssd 256
warm sdd $size
warm ssd 256

# What is written before: BYTES and the arguments of stopwatch scatter.
declare -A shapes=(
	[contiguous]="$((40 * MiB)) $((16 * MiB)) $((40 * MiB)) $MiB"
	[64k-random]="$((32 * MiB)) $((32 * MiB)) $((32 * MiB)) 65536"
	[4k-random]="$((32 * MiB)) $((32 * MiB)) $((32 * MiB)) 4096"
	# What is the same whatever the length shows in the difference.
	[64k-random-long]="$((96 * MiB)) $((32 * MiB)) $((96 * MiB)) 65536"
	[half]="$((16 * MiB)) $((32 * MiB)) $((32 * MiB)) 65536 50"
)

# show FIGURE BASE DEVICE BYTES
show()
{
	if [ "$2" = hdd ]; then
		result "commit-$1.speed" "$3" "$(speed "$4" "${took[ns]}")" MiB/s
	else
		result "commit-$1.cpu" "$3" $((took[busy] / 1000 / ($4 / MiB))) us/MiB
	fi
}

# ours BASE SHAPE
ours()
{
	local words writes least backwards sectors before between behind

	read -r -a words <<<"${shapes[$2]}"
	up "$1" $size
	# The peer discards nothing.
	[ "$1" = hdd ] || must dmsetup message st 0 set discard_passdown 0
	must stopwatch scatter /dev/mapper/v "${words[@]:1}"
	must sync /dev/mapper/v
	[ "$1" != hdd ] || begin_trace block_rq_complete
	timed job v commit start
	[ "${took[state]}" = 0 ] || fail "the commit of $2 did not complete"
	show "$2" "$1" cowstack "${words[0]}"
	if [ "$1" = hdd ]; then
		end_trace hdd
		read -r writes least backwards sectors < <(count_writes hdd)
		result "commit-$2.requests" cowstack "$(ratio "$writes" "$least")" x
		result "commit-$2.backwards" cowstack "$backwards" requests
		result "commit-$2.written" cowstack "$(ratio $((sectors * 512)) "${words[0]}")" x
		# Where the time goes that the disk has nothing to do.
		read -r before between behind < <(idle_times hdd "${took[from]}" "${took[to]}")
		result "commit-$2.before" cowstack "$before" ms
		result "commit-$2.between" cowstack "$between" ms
		result "commit-$2.behind" cowstack "$behind" ms
	fi
	down
}

# merge BASE SHAPE CHUNK-SECTORS
merge()
{
	local words

	read -r -a words <<<"${shapes[$2]}"
	must dd if=/dev/zero of=/dev/ssd bs=4k count=1 oflag=direct
	must dmsetup create snap --table "0 $((size * 2048)) snapshot /dev/$1 /dev/ssd P $3"
	must stopwatch scatter /dev/mapper/snap "${words[@]:1}"
	must dmsetup remove snap
	must dmsetup create snap --notable
	must dmsetup load snap --table \
		"0 $((size * 2048)) snapshot-merge /dev/$1 /dev/ssd P $3"
	timed merge snap
	show "$2" "$1" snapshot-merge "${words[0]}"
	must dmsetup remove snap
}

# Eight layers, the newest version of each sector in any of them.
layers()
{
	local i sectors

	up hdd $size
	for ((i = 0; i < 8; i++)); do
		must stopwatch scatter /dev/mapper/v $((i * 2 * MiB)) $((18 * MiB)) 65536 60
		must stopwatch scatter /dev/mapper/v $((40 * MiB)) $((4 * MiB)) 4096
		must dmsetup message v 0 snapshot
	done
	must sync /dev/mapper/v
	begin_trace
	timed job v commit start
	end_trace hdd
	sectors=$(awk '$1 == "hdd" && $2 ~ /W/ {
			for (i = 0; i < $4; i++)
				if (seen[$3 + i]++)
					again++
			n += $4
		}
		END { printf "%.2f", n / (n - again) }' /tmp/requests)
	result commit-layers.times cowstack "$sectors" x
	read -r _ _ i _ < <(count_writes hdd)
	result commit-layers.backwards cowstack "$i" requests
	down
}

# How far the commit has come when the store sees the first discard, and how far that which
# has been written to the base is ever ahead of that which was discarded.
space()
{
	local first behind

	up sdd $size
	must stopwatch scatter /dev/mapper/v 0 $((120 * MiB)) $MiB
	must sync /dev/mapper/v
	begin_trace
	timed job v commit start
	sleep 1
	end_trace sdd ssd
	read -r first behind < <(awk '
		$1 == "sdd" && $2 ~ /W/ { moved += $4 }
		$1 == "ssd" && $2 ~ /^D/ {
			if (!seen++)
				first = moved
			back += $4
		}
		moved - back > behind { behind = moved - back }
		END { print int(first / 2048), int(behind / 2048) }' /tmp/requests)
	result commit-space.first cowstack "$first" MiB
	result commit-space.behind cowstack "$behind" MiB
	down
}

for shape in contiguous 64k-random 4k-random half; do
	ours hdd $shape
done
for shape in contiguous 64k-random 4k-random; do
	ours sdd $shape
done
layers
space
if [ -z "$quick" ]; then
	ours hdd 64k-random-long
	for base in hdd sdd; do
		merge $base contiguous 128
		merge $base 64k-random 128
	done
	merge hdd half 128
	merge sdd 4k-random 8
	merge hdd 4k-random 8
fi
end_part
