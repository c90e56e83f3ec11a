#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 1800 --add tests/crash/build/direct_io
# guest: --add tests/crash/build/cut_disks
# Several volumes share the store's durable steps: what is flushed while a step is under way
# is flushed by the next one, whosever it is. And a flush that finds nothing changed writes
# nothing. What gives way to others ends all the same. What nobody flushes is durable within
# a second, be it new or written in place.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh

volumes=8
mebibytes=32
size=$((mebibytes * 2048))
syncs=1500

# --- who flushes ---

# new_words VOLUME FIRST: writes to places that the volume does not hold, each with a flush
new_words()
{
	local i operations=()

	for ((i = $2; i < $2 + syncs; i++)); do
		operations+=("w:$((i * 4096)):4096" s)
	done
	exec direct_io "/dev/mapper/v$1" -- "${operations[@]}"
}

# old_words VOLUME FIRST: the same, to a place that one of new_words began with
old_words()
{
	local i operations=()

	for ((i = 0; i < syncs; i++)); do
		operations+=("w:$(($2 * 4096)):4096" s)
	done
	exec direct_io "/dev/mapper/v$1" -- "${operations[@]}"
}

writers=()
next=0			# in units of 4 KiB: what nobody has written

# start_writers VOLUMES EACH KIND: so many to a volume
start_writers()
{
	local i j first

	writers=()
	first=$next
	next=$((first + $2 * syncs))
	for ((i = 1; i <= $1; i++)); do
		for ((j = 0; j < $2; j++)); do
			$3 $i $((first + j * syncs)) &
			writers+=($!)
		done
	done
	await all_have_begun
	sleep 0.5
}

# A shell with all that it is to do becomes the program that does it.
all_have_begun()
{
	local process

	for process in "${writers[@]}"; do
		[ "$(cat "/proc/$process/comm")" = direct_io ] || return
	done
}

# Are all of them still at it?
all_write()
{
	all_run "${writers[@]}"
}

end_writers()
{
	kill "${writers[@]}"
	wait "${writers[@]}" 2>/dev/null
}

# "STEPS FLUSHES" of the store until now
steps_and_flushes()
{
	dmsetup status st | sed 's/.* steps \([0-9]*\) .* flushes_served \([0-9]*\) .*/\1 \2/'
}

made_steps()
{
	local now

	read -r -a now < <(steps_and_flushes)
	[ $((now[0] - before[0])) -ge "$1" ]
}

# measure STEPS: sets steps and flushes to how many there were, at least so many steps
measure()
{
	local before after

	read -r -a before < <(steps_and_flushes)
	await made_steps "$1"
	read -r -a after < <(steps_and_flushes)
	steps=$((after[0] - before[0]))
	flushes=$((after[1] - before[1]))
}

# hundredths NUMBER: as it is printed
hundredths()
{
	printf '%d.%02d' $(($1 / 100)) $(($1 % 100))
}

# share VOLUMES EACH LEAST: flushes per step, in hundredths, of so many writers
share()
{
	local each

	start_writers "$1" "$2" new_words
	measure 150
	check "$(($1 * $2)) writers write all the while" all_write
	end_writers
	check "steps were made" test "$steps" -ge 150
	each=$((steps ? flushes * 100 / steps : 0))
	check "$1 volumes, $2 writers each: $(hundredths $each) flushes to a step, at least $(hundredths "$3")" \
		test $each -ge "$3"
	diag "$flushes flushes, $steps steps"
}

# A disk that takes its time, so that there is somebody to share with.
modprobe dm-cowstack
make_disk ssd 256 cache_size=64 irqmode=2 completion_nsec=5000000
make_disk base $mebibytes
dmcommit format /dev/ssd --name st >/dev/null
attach_store st /dev/ssd
for ((i = 1; i <= volumes; i++)); do
	dmsetup message st 0 create_volume $i $size v$i
	dmsetup create v$i --table "$(stack_line $i $size /dev/base st read_only_base 1)"
done

# One by itself has a step for each of its flushes, or this measures something else.
start_writers 1 1 new_words
measure 80
check "one writer writes all the while" all_write
end_writers
check "a flush of its own is a step of its own ($flushes flushes, $steps steps)" \
	test $((flushes * 10)) -le $((steps * 11))

# There are two groups in turn, one that writes and one whose step is under way, so each
# step serves half of them at best.
share 8 1 200
share 4 2 200
share 4 1 150

# --- flushes that find nothing changed ---
# What the timer would have made a step of is durable.
at_rest steps_and_flushes >/dev/null
read -r -a before < <(steps_and_flushes)
next=$((next - syncs))
start_writers 4 1 old_words
sleep 2
check "rewriters write all the while" all_write
end_writers
# No checkpoint either is under way behind them.
at_rest requests_of ssd >/dev/null
read -r -a after < <(steps_and_flushes)
is "${after[0]}" "${before[0]}" "rewrites with a flush each, of four volumes, make no step"

requests()
{
	direct_io "$1" ssd -- s = s = s = | tail -n 2
}

plain="ssd reads 0 writes 1 written 0 flushes 1 discards 0"
is "$(direct_io /dev/ssd ssd -- s = s = | tail -n 1)" "$plain" \
	"the disk alone: a flush is an empty write"
is "$(requests /dev/mapper/v1)" "$plain
$plain" "a flush that finds nothing changed is that and no more"
is "$(direct_io /dev/mapper/v1 ssd -- s = w:0:4096 s = | tail -n 1)" \
	"ssd reads 0 writes 2 written 4096 flushes 1 discards 0" \
	"behind a rewrite it is too"
direct_io /dev/mapper/v1 -- w:$(((mebibytes - 1) << 20)):4096
is "$(direct_io /dev/mapper/v2 ssd -- s = s = | tail -n 1)" "$plain" \
	"behind a flush of another volume, which made all durable, it is too"

# --- discards, and what brings chunks back, give way, and end all the same ---
wide=$((16 << 21))		# 16 GiB, 262144 words
make_disk wide $((16 << 10)) irqmode=0 memory_backed=0 discard=0
dmsetup message st 0 create_volume 20 $wide wide
dmsetup create wide --table "$(stack_line 20 $wide /dev/wide st read_only_base 1)"
hogs=()
for ((i = 0; i < 4; i++)); do
	while :; do :; done &
	hogs+=($!)
done
next=$((next - syncs))
start_writers 4 1 old_words
check "a discard of 16 GiB ends while others want both processors" \
	timeout 900 blkdiscard /dev/mapper/wide
dd if=/dev/zero of=/dev/mapper/wide bs=1M count=16 oflag=direct status=none
dmsetup remove wide
used=$(status_field st 3)
check "its volume is deleted" dmsetup message st 0 delete_volume 20
is "$(wait_for_value st freeing 0)" 0 "what it held comes free"
check "the others want them still" all_run "${hogs[@]}"
diag "chunks used: $used, then $(status_field st 3)"
kill "${hogs[@]}"
end_writers

for ((i = 1; i <= volumes; i++)); do
	dmsetup remove v$i
done
dmsetup remove st

# --- what nobody flushes ---
# Disks with caches that a power cut loses.
modprobe nbd nbds_max=2 max_part=0
coproc disks { exec cut_disks 1 16 16; }
disk_process=$!
read -r -u "${disks[0]}" _

# tell WORD: to the disks; prints the answer
tell()
{
	local answer

	echo "$*" >&"${disks[1]}"
	read -r -u "${disks[0]}" answer
	echo "$answer"
}

bring_up()
{
	attach_store late /dev/nbd0 &&
		dmsetup create vl --table "$(stack_line 1 $((16 * 2048)) /dev/nbd1 late)"
}

# In hundredths of a second
now()
{
	local up

	read -r up _ </proc/uptime
	echo "${up/./}"
}

has_stepped()
{
	[ "$(status_value late steps)" -gt "$steps" ]
}

is_flushed()
{
	[ "$(tell cached)" = "cached 0 0" ]
}

dmcommit format /dev/nbd0 --name late >/dev/null
attach_store late /dev/nbd0
dmsetup message late 0 create_volume 1 $((16 * 2048)) vl
dmsetup remove late
check "a stack on disks with caches" bring_up
dd if=/dev/urandom of=/tmp/late bs=64k count=4 iflag=fullblock 2>/dev/null

# come_of_themselves FUNCTION TEXT: four writes, and what has to come behind each. Each comes
# right behind the one before, but for the first, and so waits for the whole period.
come_of_themselves()
{
	local i began took least=1000000

	for i in 0 1 2 3; do
		steps=$(status_value late steps)
		dd if=/tmp/late of=/dev/mapper/vl bs=64k count=1 skip=$i seek=$i oflag=direct \
			2>/dev/null
		began=$(now)
		check "$2 that nobody has asked for" await "$1"
		took=$(($(now) - began))
		diag "after $(hundredths $took) s"
		[ $i -eq 0 ] || [ $took -ge $least ] || least=$took
	done
	check "a second after a write, or a little more where that is slow to be seen" \
		test $least -le 200
}

come_of_themselves has_stepped "a step comes"
check "the caches are empty behind it" await is_flushed
# Now all of it is held, and written in place.
dd if=/dev/urandom of=/tmp/late bs=64k count=4 iflag=fullblock 2>/dev/null
before=$(status_value late steps)
flushes=$(flushes_of nbd0)
come_of_themselves is_flushed "a flush comes"
is "$(status_value late steps)" "$before" "without a step, for no word has changed"
check "each time" test $(($(flushes_of nbd0) - flushes)) -ge 4
before=$(flushes_of nbd0)
sleep 3
is "$(flushes_of nbd0)" "$before" "and none where nothing was written"
is "$(tell cut 3)" "cut 0 0" "the power is cut, and nothing was left in a cache"
# Whatever they still ask for fails.
dmsetup remove vl
dmsetup remove late
tell on >/dev/null
check "with power again the stack comes up" bring_up
check "it shows all that was written" cmp -n $((4 * 65536)) /tmp/late /dev/mapper/vl
dmsetup remove vl
dmsetup remove late
eval "exec ${disks[1]}>&-"
wait $disk_process
check "the module unloads" rmmod dm_cowstack
check "the store is clean" dmcommit check /dev/ssd
done_testing
