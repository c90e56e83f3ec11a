#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: guest.sh SECONDS TERMINAL
#
# The demo, as run in a guest by tests/demo/run: /dev/vda is the file system that
# make-image made, "work" and "plot" are on the PATH. The machine works for SECONDS
# before the commit. TERMINAL: "yes" where somebody watches. Exits with 1 if anything
# was not as it should be, and ends at once where going on would show nothing.
set -u

seconds=$1
terminal=$2
# The guest's own line is a terminal whoever reads it.
[ "$terminal" = yes ] || export NO_COLOR=1

base_megabytes=384
store_megabytes=256
milliseconds=6			# that the disk needs for a request
after=5				# seconds of work after the commit
packages=(python3-pip libpython3.11-stdlib libc6-dev perl-modules-5.36)
packages_kept=3
package_seconds=8		# at least; so that a fast machine does not fill the store

columns=64
rows=8
mnt=/mnt/machine
alone=/mnt/alone
state=/run/demo
mkdir -p "$mnt" "$alone" "$state"

# --- what is said, and what is found out

findings=()
failures=0

# Not quite empty: tests/demo/run drops what is left of a progress bar.
blank()
{
	echo " "
}

heading()
{
	blank
	if [ "$terminal" = yes ]; then
		printf '\e[1m%-66s %3d s\e[0m\n' "$1" "$SECONDS"
	else
		printf '%-66s %3d s\n' "$1" "$SECONDS"
	fi
	blank
}

text()
{
	printf '  %s\n' "$@"
}

# found STATUS TEXT [REASON]
found()
{
	if [ "$1" -eq 0 ]; then
		findings+=("✓ $2")
	else
		findings+=("✗ $2${3:+: $3}")
		failures=$((failures + 1))
		text "✗ $2${3:+: $3}"
	fi
}

# expect TEXT COMMAND…: COMMAND says why it fails.
expect()
{
	local text=$1 output status=0
	shift

	output=$("$@" 2>&1) || status=$?
	found "$status" "$text" "$(head -n 5 <<<"$output")"
}

summary()
{
	heading "Shown"
	text "${findings[@]}"
	blank
	if [ "$failures" -eq 0 ]; then
		text "All as it should be, after $SECONDS s."
	else
		text "$failures of ${#findings[@]} FAILED."
	fi
	[ "$failures" -eq 0 ]
}

# Going on would show nothing.
give_up()
{
	found 1 "$1" "${2:-}"
	dmesg | tail -n 20
	summary
	exit 1
}

# must TEXT COMMAND…
must()
{
	local text=$1 output
	shift

	output=$("$@" 2>&1) || give_up "$text" "$output"
}

# shows COMMAND…: as if typed; ends the demo if it fails.
shows()
{
	text "# $*"
	TERM=linux "$@" || give_up "$1 $2 fails" "status $?"
}

uptime_now()
{
	local now

	read -r now _ </proc/uptime
	echo "$now"
}

# calculate EXPRESSION: prints it with one digit after the point.
calculate()
{
	awk "BEGIN { printf \"%.1f\", $1 }"
}

is_true()
{
	awk "BEGIN { exit !($1) }"
}

# device_figure DISK FIELD: of /sys/block/DISK/stat, counted from 0
device_figure()
{
	local fields

	read -r -a fields <"/sys/block/$1/stat"
	echo "${fields[$2]}"
}
writes=4
sectors_written=6
discards=11
sectors_discarded=13

megabytes_of_sectors()
{
	calculate "$1 / 2048"
}

# --- the disks

# power_on NAME: with requests of up to 1.25 MiB, as disks have them
power_on()
{
	echo 1 >"/sys/kernel/config/nullb/$1/power" || return
	echo 1280 >"/sys/block/$1/queue/max_sectors_kb"
	echo 1280 >"/sys/block/$1/queue/read_ahead_kb"
}

# make_disk NAME MEGABYTES [ATTRIBUTE=VALUE]…
make_disk()
{
	local directory=/sys/kernel/config/nullb/$1 setting

	mkdir "$directory"
	for setting in "size=$2" memory_backed=1 blocksize=512 max_sectors=2560 "${@:3}"; do
		echo "${setting#*=}" >"$directory/${setting%%=*}" || return
	done
	power_on "$1"
}

# The image goes in at full speed; then the disk gets slow: one request at a time,
# each with the seek of a hard disk.
make_slow_disk()
{
	local directory=/sys/kernel/config/nullb/hdd

	make_disk hdd "$base_megabytes" hw_queue_depth=1 submit_queues=1 || return
	copy_disk /dev/vda /dev/hdd || return
	echo 0 >"$directory/power"
	echo 2 >"$directory/irqmode"
	echo $((milliseconds * 1000000)) >"$directory/completion_nsec"
	power_on hdd
	echo mq-deadline >/sys/block/hdd/queue/scheduler
}

# What is on it stays on it.
make_disk_fast()
{
	local directory=/sys/kernel/config/nullb/$1

	echo 0 >"$directory/power"
	echo 0 >"$directory/irqmode"
	power_on "$1"
}

remove_disk()
{
	rmdir "/sys/kernel/config/nullb/$1"
}

# copy_disk FROM TO: TO is new, so that zeros need not be written.
copy_disk()
{
	dd if="$1" of="$2" bs=1M conv=sparse iflag=direct oflag=direct status=none
}

prepare_disks()
{
	must "null_blk loads" modprobe null_blk nr_devices=0
	must "dm-cowstack loads" modprobe dm-cowstack
	must "a slow disk" make_slow_disk
	must "a small SSD" make_disk ssd "$store_megabytes" discard=1
	writes_of_copying=$(device_figure hdd "$writes")
}

bring_up()
{
	text "the base    /dev/hdd  $base_megabytes MiB, $milliseconds ms a request, one at a time: an ext4 with a small Debian" \
		"the store   /dev/ssd  $store_megabytes MiB"
	blank
	shows dmcommit format /dev/ssd --name ssd
	shows dmcommit attach /dev/ssd
	shows dmcommit create machine --base /dev/hdd --store ssd
	shows mount -o discard,noinit_itable /dev/mapper/machine "$mnt"
	mount -t proc proc "$mnt/proc"
	blank
	text "$(. "$mnt/etc/os-release" && echo "$PRETTY_NAME"), $(df -h "$mnt" | awk 'END { print $3 }') used"
}

# --- the work

# note EVENT TREE: into the ledger of unpacked packages
note()
{
	echo "$(uptime_now) $*" >>"$state/ledger"
}

remove_tree()
{
	note removing "$1"
	rm -rf "$mnt/srv/${1:?}" && chroot "$mnt" sync -f /srv || return
	note removed "$1"
}

# The machine's own dpkg, from the file system at stake, unpacks its packages one
# after the other and removes the oldest, for ever.
keep_packages()
{
	local round=0 package trees=() next=$SECONDS

	while :; do
		round=$((round + 1))
		for package in "${packages[@]}"; do
			chroot "$mnt" dpkg-deb -x "/var/cache/packages/$package.deb" \
				"/srv/$package.$round" || return
			chroot "$mnt" sync -f /srv || return
			note unpacked "$package.$round"
			trees+=("$package.$round")
			if [ "${#trees[@]}" -gt "$packages_kept" ]; then
				remove_tree "${trees[0]}" || return
				trees=("${trees[@]:1}")
			fi
			next=$((next + package_seconds))
			[ "$SECONDS" -ge "$next" ] || sleep $((next - SECONDS))
		done
	done
}

# The chunks of the layer that is being committed
frozen_chunks()
{
	dmsetup message machine 0 layers | awk '$7 == "frozen" { sum += $4 } END { print sum + 0 }'
}

# Lines: time, store chunks used, sectors discarded at the SSD, state of the job, what
# it has still to let go
sample()
{
	local store stack

	while :; do
		read -r -a store <<<"$(dmsetup status ssd)"
		read -r -a stack <<<"$(dmsetup status machine)"
		echo "$(uptime_now) ${store[5]%/*} $(device_figure ssd "$sectors_discarded") ${stack[9]} $(frozen_chunks)"
		sleep 0.3
	done >"$state/samples"
}

start_work()
{
	: >"$state/ledger"
	set -m
	keep_packages 2>"$state/packages-said" &
	packages_process=$!
	work run "$mnt/srv/work" "$state/log" 2>"$state/work-said" &
	work_process=$!
	sample &
	sample_process=$!
	set +m
	work_began=$(uptime_now)
}

still_works()
{
	kill -0 "$work_process" && kill -0 "$packages_process"
} 2>/dev/null

# Whatever a process was doing is cut off, but its acts are logged to the end.
stop_work()
{
	local status=0

	found "$(still_works; echo $?)" \
		"nothing that the machine did went wrong" \
		"$(cat "$state/work-said" "$state/packages-said")"
	kill -TERM -- "-$packages_process" 2>/dev/null
	kill -TERM "$work_process" 2>/dev/null
	wait "$work_process" || status=$?
	wait "$packages_process" 2>/dev/null
	kill -TERM -- "-$sample_process"
	wait "$sample_process" 2>/dev/null
	found "$status" "each page of the database that it read back was what it had written last" \
		"$(cat "$state/work-said")"
}

work_before()
{
	local i

	start_work
	sleep "$seconds"
	# A slow machine may be longer about its first package.
	for ((i = 0; i < 300; i++)); do
		! grep -q ' unpacked ' "$state/ledger" && still_works || break
		sleep 1
	done
	report_before=$(work report "$state/log" "$work_began" "$(uptime_now)")
	base_writes=$(($(device_figure hdd "$writes") - writes_of_copying))
	found "$((base_writes != 0))" \
		"all of the work went to the SSD: 0 writes to the base in $seconds s" \
		"$base_writes writes"
	text "unpacks packages, removes the oldest; writes, rewrites and deletes files with fsync;" \
		"rewrites random pages of a database with fdatasync"
	blank
	text "in $seconds s   $(count_acts "$report_before") acts, $(grep -c ' unpacked ' "$state/ledger") packages unpacked, $(grep -c ' removed ' "$state/ledger") removed" \
		"the base    $base_writes writes" \
		"the store   $(used_now) MiB of $store_megabytes MiB used"
}

# count_acts REPORT
count_acts()
{
	awk '$1 != "tenths" && $1 != "still" { sum += $2 } END { print sum + 0 }' <<<"$1"
}

used_now()
{
	local store

	read -r -a store <<<"$(dmsetup status ssd)"
	calculate "${store[5]%/*} * ${store[4]} / 2048"
}

# --- the commit

run_commit()
{
	local i

	written_before=$(device_figure hdd "$sectors_written")
	commit_began=$(uptime_now)
	shows dmcommit start machine --wait
	commit_ended=$(uptime_now)
	blank
	shows dmcommit map machine
	commit_seconds=$(calculate "$commit_ended - $commit_began")
	# The snapshot was taken before the job was first seen running.
	snapshot_done=$(awk -v from="$commit_began" '$1 > from && $4 != "idle" { print $1; exit }' \
		"$state/samples")
	snapshot_done=${snapshot_done:-$commit_ended}
	report_during=$(work report "$state/log" "$commit_began" "$commit_ended")
	written=$(($(device_figure hdd "$sectors_written") - written_before))
	sleep "$after"
	# Discards give way to the work; what the commit let go of is through when none is due.
	for ((i = 0; i < 300; i++)); do
		[[ $(dmsetup status ssd) != *" freeing 0 "* ]] || break
		sleep 0.2
	done
}

# longest REPORT KIND…: in milliseconds
longest()
{
	awk -v kinds=" ${*:2} " 'index(kinds, " " $1 " ") && $4 > most { most = $4 }
		END { printf "%.1f", most / 1000 }' <<<"$1"
}

# The two reports side by side.
print_latencies()
{
	printf '  %8s   %26s   %26s\n' "" "the ${seconds} s before" "the commit"
	printf '  %8s   %8s %8s %8s   %8s %8s %8s\n' "" count median longest count median longest
	paste -d ' ' <(echo "$report_before") <(echo "$report_during") |
		awk '$1 != "tenths" && $1 != "still" {
			printf "  %-8s   %8d %5.1f ms %5.0f ms   %8d %5.1f ms %5.0f ms\n",
				$1, $2, $3 / 1000, $4 / 1000, $6, $7 / 1000, $8 / 1000
		}'
}

# count_stills REPORT
count_stills()
{
	awk '$1 == "still" { printf "%d times (up to %d ms)", $2, $4 / 1000 }' <<<"$1"
}

judge_stalls()
{
	local slowest stall tenths most

	slowest=$(longest "$report_before" write sync)
	most=$(calculate "5 * $slowest")
	# In less than a minute fewer slow ones are seen; and of an emulated processor that stands
	# still for less than 40 ms nothing is known, of two at a time.
	[ "$seconds" -ge 60 ] || is_true "$most >= 100" || most=100
	stall=$(longest "$report_during" write sync read delete)
	tenths=$(sed -n 's/^tenths //p' <<<"$report_during")
	print_latencies
	blank
	text "not counted: an emulated processor itself stood still $(count_stills "$report_before") before, $(count_stills "$report_during") in the commit" \
		"acts in each tenth of the commit: $tenths" \
		"longest stall $stall ms, slowest write of the ${seconds} s before $slowest ms"
	found "$(is_true "$stall <= $most"; echo $?)" \
		"work never stopped: the longest stall was $stall ms (slowest write of the ${seconds} s before: $slowest ms)" \
		"more than 5 times, or 100 ms"
	found "$(! grep -qw 0 <<<"$tenths"; echo $?)" \
		"work went on in every tenth of the commit" "$tenths"
}

judge_space()
{
	local megabytes peak end given discarded first

	megabytes=$(dmsetup status ssd | awk '{ print $5 / 2048 }')
	peak=$(awk '$2 > most { most = $2 } END { print most }' "$state/samples")
	peak=$(calculate "$peak * $megabytes")
	end=$(awk -v at="$commit_ended" '$1 >= at { print $2; exit }' "$state/samples")
	end=$(calculate "${end:-0} * $megabytes")
	# What its layers held at most; chunks of zeroes hold nothing of the store.
	given=$(awk -v from="$commit_began" '
		$1 > from && $5 > most { most = $5 }
		END { print most + 0 }' "$state/samples")
	given=$(calculate "$given * $megabytes")
	# With what the machine itself discarded meanwhile
	discarded=$(awk -v from="$commit_began" '
		$1 <= from { before = $3 }
		END { print $3 - before }' "$state/samples")
	discarded=$(megabytes_of_sectors "$discarded")
	# When the first of it came back, in percent of the commit's time
	first=$(awk -v from="$commit_began" -v to="$commit_ended" '
		$1 <= from || $4 != "running" { next }
		$5 > most { most = $5 }
		$5 < most {
			printf "%d", ($1 - from) * 100 / (to - from)
			exit
		}' "$state/samples")
	awk -v megabytes="$megabytes" '{ print $1, $2 * megabytes }' "$state/samples" |
		plot "$columns" "$rows" "$store_megabytes" "$commit_began" "$commit_ended"
	blank
	text "written to the base  $(megabytes_of_sectors "$written") MiB in $commit_seconds s" \
		"used in the store    at most $peak MiB, $end MiB when the commit was done" \
		"given back           $given MiB by the commit, the first of it at ${first:-100} % of its time" \
		"discarded at the SSD $discarded MiB in the commit and the $after s after, $(device_figure ssd "$discards") requests in all"
	found "$([ -n "$first" ] && is_true "$end < $peak"; echo $?)" \
		"the commit gave $given MiB back while work went on, the first of it at ${first:-100} % of its time" \
		"used at most $peak MiB, $end MiB at its end"
	found "$(is_true "$discarded >= $given"; echo $?)" \
		"all of that was discarded at the SSD" "only $discarded MiB"
}

# --- the base alone

# The journal is replayed on a copy of what the base's own device holds: the stack is
# still up, and the base is for nobody else to write.
copy_base()
{
	make_disk copy "$base_megabytes" && copy_disk /dev/hdd /dev/copy
}

replay_journal()
{
	dmesg -c >/dev/null
	mount -o noinit_itable /dev/copy "$alone" && umount "$alone" &&
		dmesg | grep -q 'EXT4-fs (.*): recovery complete'
}

is_recovered()
{
	replay_journal && return
	echo "no recovery in the kernel's log"
	dmesg | grep EXT4
	return 1
}

fsck_is_clean()
{
	e2fsck -f -n "$1" >"$state/e2fsck" 2>&1 && return
	cat "$state/e2fsck"
	return 1
}

# state_of_trees: "there TREE" for each that had been unpacked and synced before the
# commit began and was removed, if at all, after the snapshot; "gone TREE" for each
# whose removal had been synced.
state_of_trees()
{
	awk -v before="$commit_began" -v after="$snapshot_done" '
		$1 <= before { state[$3] = $2 }
		$1 > before && $1 <= after + 0.01 { state[$3] = "changing" }
		END {
			for (tree in state)
				if (state[tree] == "unpacked")
					print "there", tree
				else if (state[tree] == "removed")
					print "gone", tree
		}' "$state/ledger"
}

# The package itself tells what its files have to be.
verify_tree()
{
	local package=${1%.*}

	chroot "$alone" dpkg-deb --ctrl-tarfile "/var/cache/packages/$package.deb" |
		tar -xOf - ./md5sums >"$state/sums"
	if [ ! -s "$state/sums" ] ||
	   ! (cd "$alone/srv/$1" && md5sum -c "$state/sums" >"$state/sums-said" 2>&1); then
		echo "$1:"
		grep -v ': OK$' "$state/sums-said"
		return 1
	fi
	files_of_packages=$((files_of_packages + $(wc -l <"$state/sums")))
}

verify_trees()
{
	local what tree

	files_of_packages=0
	trees_there=0
	trees_gone=0
	while read -r what tree; do
		if [ "$what" = there ]; then
			verify_tree "$tree" || return
			trees_there=$((trees_there + 1))
		elif [ -e "$alone/srv/$tree" ]; then
			echo "$tree should not be there"
			return 1
		else
			trees_gone=$((trees_gone + 1))
		fi
	done < <(state_of_trees)
	[ "$trees_there" -gt 0 ]
}

verify_work()
{
	local kind right changing output status=0

	output=$(work verify "$alone/srv/work" "$state/log" "$commit_began" \
		"$(calculate "$snapshot_done + 0.1")" 2>"$state/verify-said") || status=$?
	while read -r kind right changing _; do
		declare -g "${kind}_right=$right" "${kind}_changing=$changing"
	done <<<"$output"
	found "$status" \
		"every file that was synced before the snapshot is there with its checksum, every deleted one is gone: ${files_right:-0}" \
		"$(cat "$state/verify-said")"
	found "$status" \
		"every page of the database has a version that the snapshot can have: ${pages_right:-0}" \
		"$(cat "$state/verify-said")"
}

judge_base_alone()
{
	local writes_before status=0

	writes_before=$(device_figure hdd "$writes")
	text "/dev/hdd is only read, and copied; the journal is replayed on the copy"
	must "a copy of the base" copy_base
	blank
	expect "the base alone is what a power cut would leave: its journal replays" is_recovered
	text "the kernel   $(dmesg | sed -n 's/.*\(EXT4-fs (.*recovery complete\).*/\1/p')"
	expect "e2fsck finds the base alone clean" fsck_is_clean /dev/copy
	text "e2fsck       $(tail -n 1 "$state/e2fsck")"
	must "the base alone is mounted" mount -o ro,noload /dev/copy "$alone"
	verify_work
	verify_trees >"$state/trees-said" || status=$?
	found "$status" \
		"packages unpacked before the snapshot are there, file by file as Debian's checksums say: $files_of_packages files" \
		"$(cat "$state/trees-said")"
	expect "the base alone runs: its own bash and dpkg" \
		chroot "$alone" /bin/bash -c 'dpkg-deb --version | grep -q Debian'
	umount "$alone"
	remove_disk copy
	writes_before=$(($(device_figure hdd "$writes") - writes_before))
	found "$((writes_before != 0))" "looking at it wrote nothing to it" \
		"$writes_before writes"
	text "files        ${files_right:-0} as they were synced or absent as they were deleted, ${files_changing:-0} not judged (being changed as the snapshot was taken)" \
		"database     ${pages_right:-0} pages" \
		"packages     $trees_there there, $files_of_packages files; $trees_gone gone"
}

base_alone_is()
{
	local stack

	read -r -a stack <<<"$(dmsetup status machine)"
	echo "status says base_alone ${stack[8]}"
	[ "${stack[8]}" = "$1" ]
}

# --- the second commit

# Kept for the end: what the volume is before the commit
copy_volume()
{
	make_disk copy "$base_megabytes" && copy_disk /dev/mapper/machine /dev/copy
}

run_second_commit()
{
	must "unmount" umount "$mnt/proc"
	shows umount "$mnt"
	must "a copy of the volume" copy_volume
	shows dmcommit start machine --wait
	shows dmcommit status machine
	shows dmcommit down machine
	shows dmcommit detach ssd
	shows rmmod dm-cowstack
	must "the disk without its slowness" make_disk_fast hdd
	expect "the base alone, the module gone, equals what the volume was, byte for byte" \
		work compare /dev/hdd /dev/copy
	expect "e2fsck finds it clean, with nothing to replay" fsck_is_clean /dev/hdd
	blank
	text "/dev/hdd     equals the volume in all its $base_megabytes MiB" \
		"e2fsck       $(tail -n 1 "$state/e2fsck")"
}

heading "1  A slow disk with a real file system, a small SSD"
prepare_disks
bring_up
heading "2  A machine at work"
work_before
blank
shows dmcommit map machine
heading "3  The commit, while the work goes on"
run_commit
stop_work
blank
judge_stalls
heading "4  The SSD's space"
judge_space
heading "5  The base alone, while the stack is still up"
expect "the volume says so: base_alone valid" base_alone_is valid
judge_base_alone
heading "6  Unmounted, committed once more"
run_second_commit
summary
