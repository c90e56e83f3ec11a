#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# dmcommit start --offline: what the volume shows stays the same whenever power is cut, of
# store and base each by itself (power_cut.c), and the commit goes on to its end after it.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
. tests/golden/golden.sh
. tests/guest/lib/tool.sh
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

# start VOLUME OPTION…: without a base
start()
{
	"$tool" start "$1" --offline --store "$work/store" "${@:2}"
}

# commit VOLUME OPTION…
commit()
{
	start "$1" --base "$work/base" "${@:2}"
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

# job KEY: of the first job in the store's dump
job()
{
	"$tool" dump "$work/store" | sed -n "s/^job .* $1=\([^ ]*\).*/\1/p" | head -n 1
}

# layers: ids, in a row
layers()
{
	"$tool" dump "$work/store" | sed -n 's/^layer id=\([0-9]*\) .*/\1/p' | paste -sd ' '
}

# What survives() starts, and how that goes on.
what=(--base "$work/base")
on=(--base "$work/base")

# goes_on VOLUME: to its end, if it was recorded, or from the start
goes_on()
{
	local status=0

	start "$1" "${what[@]}" >"$work/output" 2>&1 || status=$?
	[ "$status" -ne 4 ] || {
		status=0
		start "$1" "${on[@]}" >"$work/output" 2>&1 || status=$?
	}
	# Nothing was lost at the last operation: it had ended, and the layers named are gone.
	[ "$status" -eq 0 ] || {
		grep -q 'has no layer' "$work/output" && [ "$(state "$1" state)" = completed ]
	}
}

# is_cut IMAGE VOLUME AT SEED CONTENT: power is lost there, and all is well; else it says what not
is_cut()
{
	take "$1"
	LD_PRELOAD=$work/cut.so CUT_AT=$3 CUT_SEED=$4 CUT_LIES=${liar:-} \
		start "$2" "${what[@]}" >/dev/null 2>&1
	"$tool" check "$work/store" >/dev/null 2>&1 || {
		echo "the store is damaged"
		return 1
	}
	[ "$(content)" = "$5" ] || {
		echo "another content"
		return 1
	}
	goes_on "$2" || {
		echo "it does not go on: $(<"$work/output")"
		return 1
	}
	[ "$(content)" = "$5" ] || {
		echo "another content at the end"
		return 1
	}
	[ "$(state "$2" state)" = completed ] || {
		echo "it is not completed at the end"
		return 1
	}
	[ "${what[*]}" != "${on[*]}" ] || [ "$(state "$2" mixed_top)" = 0 ] || {
		echo "the base is mixed at the end"
		return 1
	}
}

# survives IMAGE VOLUME EVERY SEED…: at each EVERYth operation; prints the first that is wrong
# COWSTACK_OFFLINE_EVERY and COWSTACK_OFFLINE_SEEDS: in their places, for long runs; of
# the largest store COWSTACK_OFFLINE_BIG_EVERY.
survives()
{
	local at count seed why wanted every=${COWSTACK_OFFLINE_EVERY:-$3}
	local seeds=${COWSTACK_OFFLINE_SEEDS:-${*:4}}

	take "$1"
	wanted=$(content)
	CUT_COUNT=$work/count LD_PRELOAD=$work/cut.so start "$2" "${what[@]}" >/dev/null 2>&1 || {
		echo "no commit at all"
		return 1
	}
	count=$(<"$work/count")
	for seed in $seeds; do
		for ((at = 1 + seed % every; at <= count; at += every)); do
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
	case " ${*:5}" in
	*' --base '*) output=$(start "$4" "${@:5}" 2>&1) || status=$? ;;
	*) output=$(commit "$4" "${@:5}" 2>&1) || status=$? ;;
	esac
	is "$status ${output//"$work/"/}" "$1 dmcommit: $2" "$3, volume $4 ${*:5}: it is refused"
	is "$(cat "$work/store" "$work/base" | sha256sum)" "$before" "… and nothing is written"
}
refuses 4 "volume 7, data-7, lies on the same base and holds data; commit with both up, and allow_shared_base" chain system
refuses 4 "no base is recorded for volume 16777215; bring it up once" chain 16777215
refuses 3 "store has no volume nothing; dmcommit check store lists those it has" chain nothing
refuses 1 "the base ends at sector 2048, and the layers hold 1646 sectors behind it; give a base as large as the volume" small vm
refuses 4 "volume vm has a stream that is not finished; bring it up, and that goes on" stream vm
refuses 2 "--freeze holds a mounted file system, and a volume that is not up has none; leave it out" \
	grown vm --freeze
refuses 4 "layer 1 is the top of vm; leave out --top, and a snapshot of it is taken" grown vm --top 1
refuses 3 "volume vm has no layer 9" grown vm --top 9
refuses 2 '--on-error: "never" is not stop, report or ignore' grown vm --on-error never
refuses 2 '--until: "soon" is no time: HH:MM, "YYYY-MM-DD HH:MM", or seconds since 1970' grown vm --until soon
refuses 4 "volume vm has a commit of layer 2 into the base that is not finished; leave out --top, give the base's device to go on with it, or bring it up and cancel it" \
	commit vm --top 2
cp "$work/grown.base" "$work/kept"
truncate -s 2M "$work/grown.base"
refuses 4 "base is not the recorded base grownbase: 4096 sectors, not 2048; give that one" grown vm
cp "$work/kept" "$work/grown.base"
printf x | dd of="$work/grown.base" bs=1 seek=5000 conv=notrunc status=none
refuses 4 "base is not the recorded base grownbase: its content differs; give that one" grown vm
cp "$work/kept" "$work/grown.base"
take grown
is "$("$tool" start nobodys-vm --offline 2>&1)" \
	"dmcommit: start --offline needs --store, the store's device, and --base, the base's: no stack nobodys-vm stands in /etc/dmcommit/stacks.conf" \
	"the store must be given, where no list names the volume"
is "$(start vm 2>&1)" \
	"dmcommit: start --offline needs --base: the base's device, or a layer to commit into" \
	"so must where it goes"
is "$(start vm --base 0 2>&1)" \
	"dmcommit: --base 0 is the base; while the volume is not up, name its device" \
	"the base by its device"
is "$(start vm --base nothing 2>&1)" \
	"dmcommit: volume vm has no layer nothing, and there is no device of that name" \
	"what is neither is neither"

# --- by the list of stacks ---
list=$work/stacks.conf
{
	printf 'store grown %s/store\nstack vm grown %s/base\n' "$work" "$work"
	printf 'stack there grown %s/base read-only-base\n' "$work"
	printf 'stack upper grown /dev/mapper/nobodys-vm\nstack nobodys-vm grown %s/base\n' "$work"
	printf 'stack bad grown\n'
} >"$list"
chmod 644 "$list"
# listed VOLUME OPTION…
listed()
{
	"$tool" start "$1" --offline --config "$list" "${@:2}"
}
# says_of_list STATUS MESSAGE TEXT VOLUME OPTION…
says_of_list()
{
	local output status=0

	output=$(listed "${@:4}" 2>&1 | tail -n 1; exit "${PIPESTATUS[0]}") || status=$?
	is "$status ${output//"$work/"/}" "$1 dmcommit: $2" "$3"
}
if [ "$(id -u)" -ne 0 ]; then
	not_ok "the list of stacks: run this as root, whose list it has to be"
fi
says_of_list 2 "start --offline needs --store, the store's device, and --base, the base's: no stack nothing stands in stacks.conf" \
	"a volume that the list does not name" nothing
says_of_list 2 "start --offline needs --store, the store's device, and --base, the base's: no stack grown stands in stacks.conf" \
	"a store is no volume" grown
says_of_list 4 "stacks.conf:3 has read-only-base for there; --base commits into it all the same" \
	"a base that is not to be written to" there
says_of_list 3 "upper lies on the stack nobodys-vm, which is not up; dmcommit up nobodys-vm" \
	"a base that is a stack, which is not up" upper
says_of_list 2 "start: with --store nothing is taken from --config" "a store, and a list" vm --store "$work/store"
is "$("$tool" start vm --config "$list" 2>&1)" "dmcommit: start: --config is for --offline" \
	"a list is for --offline"
sed -i '/ bad /d; /^stack vm/s/$/ commit_base=9/' "$list"
says_of_list 3 "volume vm has no layer 9, and there is no device of that name" \
	"its commit_base counts" vm
sed -i '/^stack vm/s/ commit_base=9//' "$list"
wanted=$(content)
check "a volume of the list is committed, and nothing but its name is said" listed vm
is "$(content) $(state 1 mixed_top) $(state 1 state)" "$wanted 0 completed" "… and shows the same"

# --- power cuts: each operation of a small one, each second of others ---
for image in 'grown 1 1' 'commit 3 2' 'clean 1 2' 'clean-gone 1 2'; do
	read -r name volume every <<<"$image"
	is "$(survives "$name" "$volume" "$every" 1)" "" "$name: power may be lost at any time"
done

# --- larger ones, over layers that overlap ---
# layered NAME LAYERS CHUNK_SECTORS STORE_CHUNKS VOLUME_CHUNKS FULL_MASK HALF_MASK
layered()
{
	local i

	{
		echo cowstack-dump 1
		echo "store uuid=00112233-4455-6677-8899-aabbccddeeff name=$1 created=1 compat=0x0" \
			"ro_compat=0x0 chunk_sectors=$3 ring_blocks=224 data_start=2048 chunks=$4" \
			"next_layer=$(($2 + 1))"
		for ((i = 1; i <= $2; i++)); do
			echo "layer id=$i parent=$((i - 1)) flags=$( ((i < $2)) && echo frozen || echo -)" \
				"created=1 name=-"
		done
		echo "volume id=1 top=$2 sectors=$(($3 * $5)) name=vm"
		echo "base flags=recorded sectors=$(($3 * $5)) seed=0x1 crc=0x0 mixed_top=1 time=0 device=b"
		echo "job kind=none state=idle on_error=stop flags=- top=0 base=0 error=0 speed=0 until=0" \
			"cursor=0 done=0 total=0 errors=0 first_error=0"
		awk -v layers="$2" -v end="$5" -v full="$6" -v half="$7" 'BEGIN {
			for (layer = 1; layer <= layers; layer++) {
				print "map layer=" layer
				for (first = layer; first < end - 10; first += 7 + layer) {
					runs++
					if (runs % 10 == 0) {
						print "run first=" first " count=4 chunk=- mask=0x0 flags=zero"
					} else {
						print "run first=" first " count=2 chunk=" chunk + 0 " mask=0x" \
							(runs % 3 ? full : half) " flags=" (runs % 6 ? "-" : "zero")
						chunk += 2
					}
					chunks += runs % 10 ? 2 : 4
				}
			}
			print "end layers=" layers " volumes=1 runs=" runs " chunks=" chunks
		}'
	} >"$work/$1.dump"
	head -c $(((2048 + $4 * $3) * 512)) /dev/urandom >"$work/$1.store"
	head -c $(($3 * $5 * 512)) /dev/urandom >"$work/$1.base"
	check "$1: a store is made of a dump" "$tool" restore "$work/$1.store" --from "$work/$1.dump" --force
}
layered big 3 8 4000 5000 ff 3c
is "$(COWSTACK_OFFLINE_EVERY=${COWSTACK_OFFLINE_BIG_EVERY:-} survives big 1 307 1)" "" "big: power may be lost at some times"

# --- into layers, and parts of a chain: pieces of one sector, and of eight ---
layered small 5 8 800 300 ff 3c
layered pieces 5 128 120 60 ffff ff0
for image in small pieces; do
	take "$image"
	wanted=$(content)
	before=$(sha256sum <"$work/store")
	plan=$(start 1 --base 1 --top 3 --dry-run --json)
	is "$(sha256sum <"$work/store")" "$before" "$image: a plan changes nothing"
	like "$plan" '"chunks": [1-9]' "… and tells what there is to do"
	check "… layers 3 and 2 go into 1" start 1 --base 1 --top 3 --verify
	is "$(content) $(state 1 top) $(layers)" "$wanted 5 1 4 5" "… the volume shows the same, and they are gone"
	is "$(state 1 mixed_top)" 1 "… as mixed as before"
	check "… the rest goes into 1" start 1 --base 1
	is "$(content) $(layers)" "$wanted 1 6" "… the volume shows the same"
	check "… and that into the base" commit 1 --top 1
	is "$(content) $(layers) $(state 1 mixed_top)" "$wanted 6 0" "… which is valid"
	what=(--base 2 --top 4)
	on=()
	is "$(survives "$image" 1 5 1)" "" "$image: layers go into one, and power may be lost at any time"
	what=(--base "$work/base" --top 2)
	on=(--base "$work/base")
	is "$(survives "$image" 1 7 1)" "" "$image: so it may while some go into the base"
done
take small
refuses 4 "layer 5 is the top of 1; a commit goes into a layer below what it takes" small 1 --base 5
refuses 2 "--top 2 does not lie above --base 3; ids ascend upwards" small 1 --base 3 --top 2
refuses 2 "--retain keeps copies of what the base has too; commit into the base, or leave it out" \
	small 1 --base 3 --retain
sed -e '/^layer id=3/s/frozen/frozen,pinned/' "$work/small.dump" >"$work/pinned.dump"
cp "$work/small.base" "$work/pinned.base"
cp "$work/small.store" "$work/pinned.store"
check "a pinned layer" "$tool" restore "$work/pinned.store" --from "$work/pinned.dump" --force
refuses 4 "nothing may be committed into it: layer 3 is pinned" pinned 1 --base 3
refuses 4 "nothing may be committed from it: layer 3 is pinned" pinned 1 --top 4
refuses 4 "nothing may be committed: layer 3 is pinned" pinned 1 --base 2
take pinned
wanted=$(content)
check "what lies below it goes into the base" commit 1
is "$(content) $(layers)" "$wanted 3 4 5" "… and no more"

# --- a time, errors, options that a job goes on with ---
take small
wanted=$(content)
is "$(commit 1 --until 1 --speed 3M --on-error report --no-yield 2>&1; echo $?)" \
	"dmcommit: 1: commit is paused; start goes on with it"$'\n'7 "a time that is over pauses it"
is "$(content) $(state 1 state) $(job speed) $(job on_error) $(job flags)" \
	"$wanted paused 3145728 report -" "… as recorded"
is "$(commit 1 --speed 0 --verify >/dev/null; echo $?)" 0 "… and it goes on"
is "$(content) $(state 1 state) $(job speed) $(job on_error) $(job flags)" \
	"$wanted completed 0 report verify" "… with the options given then"
# bad FIRST END COMMAND…: bytes of the base that cannot be written
bad()
{
	LD_PRELOAD=$work/cut.so CUT_BAD=$work/base CUT_BAD_FIRST=$1 CUT_BAD_END=$2 "${@:3}"
}
for how in stop report ignore; do
	take small
	wanted=$(content)
	output=$(bad 400000 420000 commit 1 --on-error "$how" 2>&1)
	is "$? $(content) $(state 1 mixed_top)" "6 $wanted 5" "--on-error $how: 6, and the volume shows the same"
	case $how in
	stop)
		like "$output" "the commit of 1 stopped: Input/output error" "… it says so"
		is "$(state 1 state) $(state 1 errors)" "stopped 1" "… it is stopped"
		;;
	*)
		like "$output" "commit ended with errors in [1-9][0-9]* places, the first at sector 7[78][0-9], which stay in their layers" \
			"… it says where"
		is "$(state 1 state)" completed "… it is completed"
		;;
	esac
	[ "$how" = ignore ] && is "$(state 1 error)" 0 "… without an error"
	check "… once that can be written it goes on" commit 1
	is "$(content) $(state 1 mixed_top) $(state 1 errors)" "$wanted 0 0" "… to its end"
done
take small
wanted=$(content)
CUT_QUIET=1 bad 400000 420000 commit 1 --verify >/dev/null 2>&1
is "$? $(content) $(job state)" "6 $wanted stopped" "what was lost without a word is noticed with --verify"
take small
json=$(commit 1 --json)
for key in kind state top base done_bytes total_bytes rate limit eta_seconds error errors; do
	like "$json" "\"$key\": " "JSON has $key"
done
echo "# $(wc -l <"$work/cuts") power cuts"

# --- killed, not cut: all that was written stays ---
take big
wanted=$(content)
kill_after()
{
	"$tool" start 1 --offline --store "$work/store" --base "$work/base" --speed 8M \
		>/dev/null 2>&1 &
	sleep "$1"
	kill -9 $! 2>/dev/null
	wait $! 2>>"$work/output"
	is "$(content)" "$wanted" "killed after $1 s: it shows the same"
}
for ((i = 0; i < 6; i++)); do
	kill_after "0.$((RANDOM % 40 + 10))"
done
"$tool" start 1 --offline --store "$work/store" --base "$work/base" --speed 256K \
	>"$work/output" 2>&1 &
check "a commit is at work" await is_waiting $!
is "$(commit 1 2>&1)" "dmcommit: $work/store: it is in use; end its use or its job, then try again" \
	"nobody else commits meanwhile"
kill -TERM $!
wait $!
is "$? $(<"$work/output")" "130 dmcommit: the commit of 1 was interrupted; it goes on with the next start, or when the volume is up" \
	"an interrupt is one"
is "$(state 1 state)" running "… the job is recorded as running"
check "it goes on" commit 1 --speed 0
is "$(content) $(state 1 state)" "$wanted completed" "… to its end, and shows the same"

# --- a base that lies about its flushes ---
found=
liar=$work/base
what=(--base "$work/base")
for image in 'grown 1' 'clean 1'; do
	read -r name volume <<<"$image"
	[ -n "$found" ] || found=$(survives "$name" "$volume" 1 1 2 3)
done
like "$found" "another content" "a flush of the base that is left out is noticed"
done_testing
