# SPDX-License-Identifier: GPL-2.0
# Devices for tests, made of null_blk and removed with the guest. Sourced by bash.

# make_disk NAME MB [ATTRIBUTE=VALUE]…: /dev/NAME, memory-backed, with discard
make_disk()
{
	local directory=/sys/kernel/config/nullb/$1 setting

	modprobe null_blk nr_devices=0
	mkdir "$directory"
	echo 1 >"$directory/memory_backed"
	echo 1 >"$directory/discard"
	echo "$2" >"$directory/size"
	for setting in "${@:3}"; do
		echo "${setting#*=}" >"$directory/${setting%%=*}"
	done
	echo 1 >"$directory/power"
}

remove_disk()
{
	rmdir "/sys/kernel/config/nullb/$1"
}

# Flushes that the disk has ended
flushes_of()
{
	local numbers

	read -r -a numbers <"/sys/block/$1/stat"
	echo "${numbers[15]}"
}

sectors_of()
{
	blockdev --getsz "$1"
}

# attach_store NAME DEVICE [FEATURE…]
attach_store()
{
	dmsetup create "$1" --table \
		"0 $(sectors_of "$2") cowstore $2${3:+ $(($# - 2)) ${*:3}}"
}

# stack_line VOLUME-ID SECTORS BASE STORE [FEATURE…]
stack_line()
{
	echo "0 $2 cowstack $3 /dev/mapper/$4 $1${5:+ $(($# - 4)) ${*:5}}"
}

# status_field DEVICE N: word N of the status, counted behind the target's name
status_field()
{
	dmsetup status "$1" | cut -d' ' -f$((3 + $2))
}

# status_value DEVICE KEY: of the statistics at the line's end
status_value()
{
	dmsetup status "$1" | tr ' ' '\n' | grep -A1 -x "$2" | tail -n 1
}

# at_rest COMMAND…: waits until it prints the same for one and a half seconds, which is
# longer than the timer waits that makes durable what nobody has flushed; prints that
at_rest()
{
	local end=$((SECONDS + 180)) before now

	now=$("$@")
	while [ $SECONDS -lt $end ]; do
		before=$now
		sleep 1.5
		now=$("$@")
		[ "$now" != "$before" ] || break
	done
	echo "$now"
}

# requests_of DISK…: all that has come to them so far
requests_of()
{
	local disk

	for disk; do
		cat "/sys/block/$disk/stat"
	done
}

# wait_for_value DEVICE KEY VALUE: until the statistic is that; prints what it is
wait_for_value()
{
	local end=$((SECONDS + 180)) value

	while :; do
		value=$(status_value "$1" "$2")
		[ "$value" != "$3" ] && [ $SECONDS -lt $end ] || break
		sleep 0.2
	done
	echo "$value"
}

# has_moved DEVICE: a part of its job is done; the base is marked before that
has_moved()
{
	[[ $(status_field "$1" 11) == [1-9]*/* ]]
}

# wait_for_job DEVICE: until it is not running; prints the state
wait_for_job()
{
	local end=$((SECONDS + 300)) state

	while :; do
		state=$(status_field "$1" 7)
		[ "$state" = running ] || [ "$state" = queued ] || break
		[ $SECONDS -lt $end ] || break
		sleep 0.2
	done
	echo "$state"
}

# error_word NAME: how this kernel's log has an error; one without CONFIG_SYMBOLIC_ERRNAME
# knows numbers only
error_word()
{
	local -A numbers=([EIO]=5 [EOPNOTSUPP]=95 [EUCLEAN]=117)

	if grep -q ' errname$' /proc/kallsyms; then
		echo "-$1"
	else
		echo "-${numbers[$1]}"
	fi
}
