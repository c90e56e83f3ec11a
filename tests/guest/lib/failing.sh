# SPDX-License-Identifier: GPL-2.0
# Devices of which parts fail, and what is to be seen then. Sourced by bash, after
# devices.sh.

# table_over DISK [FIRST COUNT HOW]…: DISK as it is, but for the ranges (in sectors,
# ascending). HOW:
#   error           each read and write there fails, a flush does not
#   error_writes    writes there fail, and every flush (DISK must have a cache, or nobody
#                   sends it one)
#   drop_writes     writes there are acknowledged and change nothing
#   from=OTHER      writes there arrive, reads come from the disk OTHER
table_over()
{
	local disk=$1 at=0 end

	end=$(sectors_of "$disk")
	shift
	while [ $# -ge 3 ]; do
		[ "$1" -eq "$at" ] || echo "$at $(($1 - at)) linear $disk $at"
		case $3 in
		error) echo "$1 $2 error" ;;
		error_writes | drop_writes) echo "$1 $2 flakey $disk $1 0 1 1 $3" ;;
		from=*) echo "$1 $2 delay ${3#from=} $1 0 $disk $1 0" ;;
		esac
		at=$(($1 + $2))
		shift 3
	done
	[ "$at" -eq "$end" ] || echo "$at $((end - at)) linear $disk $at"
}

# exchange NAME DISK [RANGE]…: NAME gets another table while it is in use
exchange()
{
	table_over "${@:2}" | dmsetup load "$1" && dmsetup resume "$1"
}

events_of()
{
	dmsetup info -c --noheadings -o events "$1"
}

# event_after DEVICE NUMBER: waits until there was one after event NUMBER
event_after()
{
	timeout 180 dmsetup wait "$1" "$2"
}

# status_after DEVICE NUMBER FIELD: that word of the status as of an event after
# event NUMBER; nothing if there is none.
status_after()
{
	event_after "$1" "$2" && status_field "$1" "$3"
}

forget_log()
{
	dmesg -c >/dev/null
}

# lines_with TEXT: how many lines of the kernel's log hold it
lines_with()
{
	dmesg | grep -c -F -- "$1"
}

# content DEVICE [CHUNK COUNT]: a sum of it, past the page cache; chunks of 64 KiB
content()
{
	dd if="$1" bs=64k skip="${2:-0}" ${3:+count="$3"} iflag=direct 2>/dev/null |
		xxhsum
}

# place_of CHUNK: the chunk of the store's device, /dev/fast, that holds what /dev/shadow
# has there; with store_bytes.sh
place_of()
{
	local data sum place

	data=$(($(number_at /dev/fast 96) / 128))
	sum=$(content /dev/shadow "$1" 1)
	# In a new store that was filled in order it is one of the first few.
	for place in $(seq $((data + $1)) $((data + $1 + 5))) $(seq $data $((data + 200))); do
		[ "$(content /dev/fast "$place" 1)" != "$sum" ] || break
	done
	echo "$place"
}

# read_chunk CHUNK DEVICE: what becomes of it
read_chunk()
{
	dd if="$2" of=/dev/null bs=64k skip="$1" count=1 iflag=direct 2>&1
}

# synchronize DEVICE: a flush, and what becomes of it
synchronize()
{
	dd if=/dev/null of="$1" conv=fsync,notrunc 2>&1
}

# copy_chunks FILE CHUNK COUNT DEVICE [FLAGS]: FILE's first chunks go to CHUNK on
copy_chunks()
{
	dd if="$1" of="$4" bs=64k seek="$2" count="$3" conv=notrunc \
		oflag="direct${5:+,$5}" 2>&1
}

# put CHUNK COUNT DEVICE…: the same new content to each, without a flush
put()
{
	local device

	dd if=/dev/urandom of=/tmp/new bs=64k count="$2" 2>/dev/null
	for device in "${@:3}"; do
		copy_chunks /tmp/new "$1" "$2" "$device" || return
	done
}
