#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# dmcommit start --offline: what the volume shows stays the same whenever power is cut, of
# store and base each by itself (power_cut.c), and the commit goes on to its end after it.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/golden/golden.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tool=$PWD/userspace/dmcommit
describe=$PWD/tests/golden/build/native/describe

check "the programs are built" make -s -C tests/golden native
check "so is what cuts power" gcc -Wall -Wextra -Werror -O1 -shared -fPIC -o "$work/cut.so" \
	tests/host/power_cut.c -ldl

# take IMAGE: store and base, anew
take()
{
	cp "$work/$1.store" "$work/store"
	cp "$work/$1.base" "$work/base"
}

# commit VOLUME OPTION…
commit()
{
	"$tool" start "$1" --offline --store "$work/store" --base "$work/base" "${@:2}"
}

# content: a checksum of what each volume shows
content()
{
	"$describe" "$work/store" "$work/base" 2>&1 |
		awk '/^volume/ { id = $2 } /^  content/ { print id, $2 }'
}

# state VOLUME KEY: of the store's dump
state()
{
	"$tool" dump "$work/store" | sed -n "/^volume id=$1 /,/^job/s/.* $2=\([^ ]*\).*/\1/p" | head -n 1
}

# is_cut IMAGE VOLUME AT SEED: power is lost there, and all is well; else it says what not
is_cut()
{
	local wanted=$5

	take "$1"
	LD_PRELOAD=$work/cut.so CUT_AT=$3 CUT_SEED=$4 CUT_LIES=${liar:-} \
		"$tool" start "$2" --offline --store "$work/store" --base "$work/base" >/dev/null 2>&1
	"$tool" check "$work/store" >/dev/null 2>&1 || {
		echo "the store is damaged"
		return 1
	}
	[ "$(content)" = "$wanted" ] || {
		echo "another content"
		return 1
	}
	commit "$2" >"$work/output" 2>&1 || {
		echo "it does not go on: $(<"$work/output")"
		return 1
	}
	[ "$(content)" = "$wanted" ] || {
		echo "another content at the end"
		return 1
	}
	[ "$(state "$2" mixed_top)" = 0 ] || {
		echo "the base is mixed at the end"
		return 1
	}
}

# survives IMAGE VOLUME EVERY SEED…: at each EVERYth operation; prints the first that is wrong
survives()
{
	local at count seed why wanted

	take "$1"
	wanted=$(content)
	CUT_COUNT=$work/count LD_PRELOAD=$work/cut.so commit "$2" >/dev/null 2>&1 || {
		echo "no commit at all"
		return 1
	}
	count=$(<"$work/count")
	for seed in "${@:4}"; do
		for ((at = 1 + seed % $3; at <= count; at += $3)); do
			why=$(is_cut "$1" "$2" "$at" "$seed" "$wanted") || {
				echo "operation $at of $count, seed $seed: $why"
				return 1
			}
			echo >>"$work/cuts"
		done
	done
}

for name in $(golden_names); do
	golden_unpack "$name"
done

# --- as it should be ---
for image in 'grown 1' 'commit 3' 'clean 1' 'clean-gone 1'; do
	read -r name volume <<<"$image"
	take "$name"
	wanted=$(content)
	check "$name: it is committed" commit "$volume"
	is "$(content)" "$wanted" "… and shows the same"
	is "$(state "$volume" mixed_top) $(state "$volume" state)" "0 completed" "… the base is valid"
	check "… and a second one has nothing to do" commit "$volume"
	is "$(content)" "$wanted" "… and shows the same"
done
take grown
wanted=$(content)
check "with --retain and --verify" commit 1 --retain --verify --wait
is "$(content)" "$wanted" "… it shows the same"
is "$("$tool" dump "$work/store" | grep -c 'flags=clean$')" \
	"$("$tool" dump "$work/store" | grep -c '^run ')" "… and all that is left are clean copies"

# --- refusals ---
# refuses STATUS MESSAGE IMAGE VOLUME OPTION…
refuses()
{
	local output status=0 before

	take "$3"
	before=$(cat "$work/store" "$work/base" | sha256sum)
	output=$(commit "$4" "${@:5}" 2>&1) || status=$?
	is "$status ${output//"$work/"/}" "$1 dmcommit: $2" "$3, volume $4 ${*:5}: it is refused"
	is "$(cat "$work/store" "$work/base" | sha256sum)" "$before" "… and nothing is written"
}
refuses 4 "volume 7, data-7, lies on the same base and holds data; commit with both up, and allow_shared_base" chain system
refuses 4 "no base is recorded for volume 16777215; bring it up once" chain 16777215
refuses 3 "store has no volume nothing" chain nothing
refuses 1 "the base ends at sector 2048, and the layers hold 1646 sectors behind it" small vm
refuses 4 "volume vm has a stream that is not finished; bring it up, and that goes on" stream vm
refuses 2 "start --offline takes --store, --base, --speed, --retain, --verify and --wait only" grown vm --top 1
cp "$work/grown.base" "$work/kept"
truncate -s 2M "$work/grown.base"
refuses 4 "base is not the recorded base grownbase: 4096 sectors, not 2048" grown vm
cp "$work/kept" "$work/grown.base"
printf x | dd of="$work/grown.base" bs=1 seek=5000 conv=notrunc status=none
refuses 4 "base is not the recorded base grownbase: its content differs" grown vm
cp "$work/kept" "$work/grown.base"
is "$("$tool" start vm --offline 2>&1)" "dmcommit: start --offline needs --store DEV and --base DEV" \
	"store and base must be given"

# --- power cuts: each operation of a small one, each second of others ---
for image in 'grown 1 1' 'commit 3 2' 'clean 1 2' 'clean-gone 1 2'; do
	read -r name volume every <<<"$image"
	is "$(survives "$name" "$volume" "$every" 1)" "" "$name: power may be lost at any time"
done

# --- a large one, of several groups, over layers that overlap ---
{
	echo cowstack-dump 1
	echo "store uuid=00112233-4455-6677-8899-aabbccddeeff name=big created=1 compat=0x0 ro_compat=0x0" \
		"chunk_sectors=8 ring_blocks=224 data_start=2048 chunks=4000 next_layer=4"
	echo "layer id=1 parent=0 flags=frozen created=1 name=-"
	echo "layer id=2 parent=1 flags=frozen created=1 name=-"
	echo "layer id=3 parent=2 flags=- created=1 name=-"
	echo "volume id=1 top=3 sectors=40000 name=vm"
	echo "base flags=recorded sectors=40000 seed=0x1 crc=0x0 mixed_top=1 time=0 device=b"
	echo "job kind=none state=idle on_error=stop flags=- top=0 base=0 error=0 speed=0 until=0" \
		"cursor=0 done=0 total=0 errors=0 first_error=0"
	awk 'BEGIN {
		for (layer = 1; layer <= 3; layer++) {
			print "map layer=" layer
			for (first = layer; first < 4990; first += 7 + layer) {
				runs++
				if (runs % 10 == 0) {
					print "run first=" first " count=4 chunk=- mask=0x0 flags=zero"
				} else {
					print "run first=" first " count=2 chunk=" chunk + 0 " mask=0x" \
						(runs % 3 ? "ff" : "3c") " flags=-"
					chunk += 2
				}
				chunks += runs % 10 ? 2 : 4
			}
		}
		print "end layers=3 volumes=1 runs=" runs " chunks=" chunks
	}'
} >"$work/big.dump"
head -c 17432576 /dev/urandom >"$work/big.store"
head -c 20480000 /dev/urandom >"$work/big.base"
check "a large store is made of a dump" "$tool" restore "$work/big.store" --from "$work/big.dump" --force
is "$(survives big 1 307 1)" "" "big: power may be lost at some times"
echo "# $(wc -l <"$work/cuts") power cuts"

# --- killed, not cut: all that was written stays ---
take big
wanted=$(content)
for pause in 0.3 0.5 0.2; do
	"$tool" start 1 --offline --store "$work/store" --base "$work/base" --speed 8M \
		>/dev/null 2>&1 &
	sleep "$pause"
	kill -9 $! 2>/dev/null
	wait $! 2>>"$work/output"
	is "$(content)" "$wanted" "killed after $pause s: it shows the same"
done
"$tool" start 1 --offline --store "$work/store" --base "$work/base" --speed 2M \
	>"$work/output" 2>&1 &
sleep 1
is "$(commit 1 2>&1)" "dmcommit: $work/store: it is in use; end its use or its job, then try again" \
	"nobody else commits meanwhile"
kill -TERM $!
wait $!
is "$? $(<"$work/output")" "130 dmcommit: the commit of 1 was interrupted; it goes on with the next start, or when the volume is up" \
	"an interrupt is one"
is "$(state 1 state)" running "… the job is recorded as running"
check "it goes on" commit 1
is "$(content) $(state 1 state)" "$wanted completed" "… to its end, and shows the same"

# --- a base that lies about its flushes ---
found=
liar=$work/base
for image in 'grown 1' 'clean 1'; do
	read -r name volume <<<"$image"
	[ -n "$found" ] || found=$(survives "$name" "$volume" 1 1 2 3)
done
like "$found" "another content" "a flush of the base that is left out is noticed"
done_testing
