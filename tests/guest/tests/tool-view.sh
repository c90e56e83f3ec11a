#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 300 --add /usr/bin/script --add /usr/bin/jq
# What dmcommit draws: trees of bases, stores, volumes, layers and clones; maps of what
# lies where; a status that is watched; colours.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/json.sh
. /lib/cowstack-tests/tool.sh

# write MB SEEK: into vm
write()
{
	dd if=/dev/urandom of=/dev/mapper/vm bs=1M count="$1" seek="$2" \
		oflag=direct conv=fsync 2>/dev/null
}

# draw: sets $tree to what is printed as one
draw()
{
	works "tree" tree
	tree=$output
}

# depth NAME: where it stands in the tree that was drawn, from 1; 0: nowhere
depth()
{
	sed -nE "s,^([-|\` ]*)$1( .*)?\$,\1x,p" <<<"$tree" | head -n 1 |
		tr -d '\n' | wc -c
}

# Which of them stands further right? In the order given.
is_nested()
{
	local name last=0 now

	for name; do
		now=$(depth "$name")
		[ "$now" -gt "$last" ] || { diag "$name at $now, not behind $last"; return 1; }
		last=$now
	done
}

# rows_of_type TYPE: how many rows of it there are in the JSON that was printed
rows_of_type()
{
	grep -c "\"type\": *\"$1\"" <<<"$output"
}

test_tree()
{
	silent "a store" format /dev/ssd --name ssd
	silent "a second store, for what lies on a stack" format /dev/other --name other
	silent "a volume" create vm --base /dev/hdd --store /dev/ssd
	write 1 0
	silent "a snapshot" snapshot vm --name monday
	silent "a clone of it" clone vm copy --layer monday
	silent "a volume on the stack" create upper --base /dev/mapper/vm --store /dev/other
	draw
	check "base, store, volume, layer, clone" \
		is_nested /dev/hdd ssd vm '[0-9]+ \(monday\)' copy
	check "what lies on a stack stands under it" is_nested /dev/hdd ssd vm other upper
	is "$(grep -c monday <<<"$tree")" 1 "a layer that two volumes have is shown once"
	is "$(grep -c ' up ' <<<"$tree") $(grep -c ' down ' <<<"$tree")" "2 1" "up and down"
	json "tree --json" tree --json
	is "$(rows_of_type base) $(rows_of_type store) $(rows_of_type volume) $(rows_of_type layer)" \
		"1 2 3 4" "all of it is in there"
	silent "the upper one goes" down upper
	draw
	like "$tree" 'upper +volume down' "a volume that is down stays"
	silent "and its store" detach other
	silent "the clone goes" delete copy
	draw
	is "$(grep -c copy <<<"$tree")" 0 "gone from the tree"
}

# levels ID: the row of layer ID in the map that was printed
levels()
{
	sed -n "s/^$1[ a-z]*|\(.*\)|.*/\1/p" <<<"$output"
}

# sum KEY: over all parts of the JSON that was printed
sum()
{
	sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" <<<"$output" |
		awk '{ sum += $1 } END { printf "%d\n", sum }'
}

# Layer 1 has 1 MiB at the beginning; the top gets some in the middle and zeroes at the end.
test_map()
{
	write 4 16
	blkdiscard --offset $((28 << 20)) --length $((4 << 20)) /dev/mapper/vm
	sync
	works "map" map vm --parts 32
	is "$(levels 1)" "#                               " "a layer with one part of 32"
	is "$(levels '[2-9]')" "                ####        0000" "the top, with zeroes"
	is "$(levels 0)" " ###############    ########    " "what the base shows"
	works "map, where no terminal says how wide" map vm
	is "$(levels 1 | tr -d '\n' | wc -c)" 47 "512 chunks in at most 50 columns, 11 in each"
	json "map --json" map vm --json
	is "$(value parts) $(value size_bytes)" "256 $((32 << 20))" "its parts, its size"
	is "$(sum used_bytes) $(sum zero_bytes)" "$((5 << 20)) $((4 << 20))" \
		"what the layers hold, to the byte"
	is "$(sum data_bytes)" $((5 << 20)) "all of it data"
	is "$(sum shown_bytes)" $((23 << 20)) "and what the base shows"
	silent "map --svg" map vm --svg /tmp/map.svg
	is "$(head -c 5 /tmp/map.svg) $(tail -n 1 /tmp/map.svg)" "<?xml </svg>" "wrote a picture"
	fails 3 "map into a directory that is not there" "/tmp/none/x" map vm --svg /tmp/none/x
	fails 1 "map into a full device" "/dev/full" map vm --svg /dev/full
	fails 2 "map of too many parts" "1 to 512" map vm --parts 513
	fails 2 "map of no parts" "1 to 512" map vm --parts 0
	fails 3 "map of nothing" "nothing" map nothing
	silent "the volume goes down" down vm
	works "map of a volume that is down" map vm --parts 32
	is "$(levels 1)" "#                               " "it is the same"
	silent "and up" up vm --base /dev/hdd
	silent "a commit that keeps copies" start vm --retain --speed 0
	dmcommit wait vm >/dev/null
	works "map of clean copies" map vm --parts 32
	is "$(sed -n 's/^[1-9][^|]*|\(.*\)|.*/\1/p' <<<"$output" | tr -dc 'cC#')" CCCCC \
		"clean copies have a sign of their own"
	json "map of clean copies" map vm --json
	is "$(sum clean_bytes)" "$(sum used_bytes)" "all is clean"
	data=$(sum data_bytes)
	used=$(sum used_bytes)
	dd if=/dev/urandom of=/dev/mapper/vm bs=4k count=1 seek=2048 oflag=direct status=none
	json "map of a small write" map vm --json
	is "$(($(sum data_bytes) - data)) $(($(sum used_bytes) - used))" "4096 65536" \
		"4 KiB of data take a chunk"
}

test_message()
{
	is "$(dmsetup message ssd 0 map 1 0 1 | head -n 1)" "512 512" "one part is all chunks"
	is "$(dmsetup message ssd 0 map 1 0 512 | head -n 1)" "512 1" "512 parts have one each"
	is "$(dmsetup message ssd 0 map 1 0 511 | head -n 1)" "512 2" "511 have two"
}

# on_terminal COMMAND…: what it prints there
on_terminal()
{
	TERM=vt100 script -qec "$*" /dev/null </dev/null 2>&1
}

# watch_on_terminal COMMAND: of vm, interrupted when it has drawn; sets $output
watch_on_terminal()
{
	rm -f /tmp/watched /tmp/watcher
	# shellcheck disable=SC2016 # it is that shell's own number
	on_terminal 'echo $$ >/tmp/watcher; exec' dmcommit "$1" vm --watch >/tmp/watched &
	await has_said 1 'vm: volume of' /tmp/watched
	kill -INT "$(cat /tmp/watcher)"
	wait $!
	output=$(cat /tmp/watched)
}

escape=$'\033'

test_terminal()
{
	like "$(on_terminal dmcommit list)" "$escape\[32m *rw" "colours on a terminal"
	is "$(NO_COLOR=1 on_terminal dmcommit list | grep -c "$escape")" 0 "none with NO_COLOR"
	is "$(dmcommit list | grep -c "$escape")" 0 "none in a pipe"
	is "$(on_terminal dmcommit list --json | grep -c "$escape")" 0 "none in JSON"
	watch_on_terminal status
	like "$output" "$escape\[\?1049h.*vm: volume of.*$escape\[\?1049l.*vm: volume of" \
		"a watched status gives the terminal back, and leaves the last look"
	watch_on_terminal map
	like "$output" "$escape\[\?1049h.*vm: volume of.*$escape\[\?1049l.*vm: volume of" \
		"so does a watched map"
	fails 2 "a picture that is watched" "--svg or --watch" map vm --svg /tmp/x.svg --watch
	# The shell that opens the next one may be slower than who looks.
	rm /tmp/watched
	dmcommit status vm --watch >/tmp/watched 2>&1 &
	check "in a pipe it is repeated" await has_said 2 'vm: volume of' /tmp/watched
	kill $!
	wait $! 2>/dev/null
	is "$(grep -c "$escape" /tmp/watched)" 0 "and nothing else"
}

make_disk ssd 64
make_disk other 64
make_disk hdd 32
modprobe dm-cowstack
test_tree
test_map
test_message
test_terminal
silent "down" down vm
silent "detach" detach ssd
check_schemas
done_testing
