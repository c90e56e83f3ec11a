#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 500
# guest in check: --cpus 1
# Commits of any range: into the base and into lower layers, what is spared, what is
# refused, clean copies, clones. The content is compared with a model all along.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/commits.sh

modprobe dm-cowstack
make_disk ssd 128
make_disk base 32
size=$((32 * 2048))

# What every version of the volume held, beside it.
model=/tmp/model

# put OFFSET BYTES: random content, to the volume and the model
put()
{
	head -c "$2" /dev/urandom >/tmp/piece
	dd if=/tmp/piece of=/dev/mapper/v bs=$(($2 < 65536 ? $2 : 65536)) \
		seek="$1" oflag=direct,seek_bytes conv=notrunc status=none
	dd if=/tmp/piece of=$model bs=64k seek="$1" oflag=seek_bytes conv=notrunc status=none
}

fresh()
{
	[ ! -e /dev/mapper/v ] || dmsetup remove v
	[ ! -e /dev/mapper/st ] || dmsetup remove st
	dmcommit format /dev/ssd --name st --force >/dev/null
	attach_store st /dev/ssd
	dmsetup message st 0 create_volume 1 "$size" v
	dd if=/dev/urandom of=/dev/base bs=1M count=32 oflag=direct status=none
	cp /dev/base $model
	dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
}

content_is_right()
{
	cmp /dev/mapper/v $model
}

# The base alone; what was read of it before lies in its cache.
base_is_right()
{
	blockdev --flushbufs /dev/base
	cmp /dev/base $model
}

# Layers 1 … 4, each with whole chunks of its own and parts of the others'; 5 is the top.
make_layers()
{
	local layer

	for layer in 1 2 3 4; do
		put $((layer << 20)) $((128 << 10))
		put $(((layer * 4) << 10)) 4096
		put $(((64 << 10) + layer * 512)) 512
		put $(((8 << 20) + (layer << 14))) $((48 << 10))
		snapshot
	done
	put $((30 << 20)) 4096
}

# --- refusals ---
fresh
make_layers
before=$(layers)
is "$before" "5 4 3 2 1" "a chain of five"
says "top 9: no such layer" commit start top 9
says "base 9: no such layer" commit start base 9
says "top 5: is being written" commit start top 5
says "top 2: does not lie above base 2" commit start top 2 base 2
says "top 1: does not lie above base 3" commit start top 1 base 3
says "base 5: is the top" commit start base 5
says "retain 1: goes with the base only" commit start base 2 retain 1
says "yield: bad value 2" commit start yield 2
says "on_error: bad value maybe" commit start on_error maybe
says "top: said twice" commit start top 1 top 2
says "until: its value is missing" commit start until
says "there is no job" commit pause
says "there is no job" commit resume
says "there is no job" commit cancel
is "$(layers)" "$before" "nothing has changed"
is "$(dmsetup message v 0 commit plan top 4 base 3 | cut -d' ' -f1,2)" "4 3" "a plan names its range"

# --- into a layer: words move ---
start top 4 base 3
is "$(wait_for_job v)" completed "a commit of layer 4 into 3"
is "$(layers)" "5 3 2 1" "leaves 3 in its place"
check "the content is the same" content_is_right
is "$(status_field v 6)" unknown "the base was not touched"
start top 3 base 1 verify 1
is "$(wait_for_job v)" completed "a commit of 3 and 2 into 1, verified"
is "$(layers)" "5 1" "leaves 1"
check "the content is the same" content_is_right
dmsetup remove v
dmsetup remove st
attach_store st /dev/ssd
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
check "and after a load" content_is_right
is "$(status_field v 7)" idle "the job is no news then"

# Whole chunks move without a copy.
fresh
put $((4 << 20)) $((4 << 20))
snapshot
put $((12 << 20)) $((4 << 20))
put $((6 << 20)) $((1 << 20))
snapshot
sync
sleep 2
before=$(sectors_written ssd)
start top 2 base 1 yield 0
is "$(wait_for_job v)" completed "5 MiB of whole chunks into a layer"
written=$(($(sectors_written ssd) - before))
check "cost metadata only ($((written / 2)) KiB)" test "$written" -lt 512
check "the content is the same" content_is_right

# --- a frozen top into the base ---
fresh
make_layers
dd if=/dev/mapper/v of=/tmp/now bs=1M status=none
start top 2
is "$(wait_for_job v)" completed "a commit of 2 and 1 into the base"
is "$(layers)" "5 4 3" "leaves what is above"
is "$(status_field v 6)" valid "the base is valid"
check "the content is the same" content_is_right
start
is "$(wait_for_job v)" completed "a commit of all"
is "$(layers)" 6 "leaves a new top"
check "the content is the same" content_is_right
check "and the base alone is the volume" base_is_right

# --- pins and commit_base ---
fresh
make_layers
check "a layer is pinned" dmsetup message v 0 pin 3
says "top 4: layer 3 is pinned" commit start top 4
says "base 3: is pinned" commit start top 4 base 3
says "layer 5 is the top" pin 5
start
is "$(wait_for_job v)" completed "a commit without a top"
is "$(layers)" "5 4 3" "ends below the pinned layer"
says "nothing may be committed: layer 3 is pinned" commit start
is "$(layers)" "5 4 3" "and no snapshot was taken"
dmsetup message v 0 unpin 3
dmsetup message v 0 set commit_base 3
start
is "$(wait_for_job v)" completed "a commit with commit_base 3"
is "$(layers)" "6 3" "went there"
says "layer 3 is the commit_base" commit start top 3 base 0
dmsetup message v 0 set commit_base 0
check "the content is the same" content_is_right

# --- clean copies ---
fresh
make_layers
start retain 1
is "$(wait_for_job v)" completed "a commit with retain 1"
check "the base alone is the volume" base_is_right
is "$(status_field v 4)" "$(status_field v 5)" "all that is held is clean"
newest=$(layers | cut -d' ' -f2)
like "$(layers)" "6 5" "the layers stay"
says "layer 6 is the top" make_empty 6
put $((2 << 20)) $((64 << 10))
check "the content is right beside clean copies" content_is_right
start
is "$(wait_for_job v)" completed "another commit over them"
check "the base alone is the volume" base_is_right
check "the content is the same" content_is_right
kept=$(layers)
clean=$(status_field v 5)
check "copies stay until make_empty ($clean chunks)" test "$clean" -gt 0
says "shows no point in time" commit start top 1
dmsetup remove v
dmsetup remove st
attach_store st /dev/ssd
dmsetup create v --table "$(stack_line 1 "$size" /dev/base st)"
is "$(status_field v 5)" "$clean" "they are there after a load"
for layer in $(layers | cut -d' ' -f2-); do
	check "make_empty $layer" dmsetup message v 0 make_empty "$layer"
	check "drop $layer" dmsetup message v 0 drop "$layer"
done
is "$(status_field v 4)" 0 "nothing is held any more"
check "the content is the same" content_is_right
snapshot
put $((2 << 20)) $((64 << 10))
snapshot
says "layer 8 holds what is nowhere else" make_empty "$(layers | cut -d' ' -f2)"

# --- clones ---
fresh
make_layers
check "a clone of layer 2" dmsetup message st 0 clone_volume 2 1 2 w
check_fails "not of the top" dmsetup message st 0 clone_volume 3 1 5
check_fails "not under a name that is taken" dmsetup message st 0 clone_volume 3 1 2 w
check "comes up beside its origin" dmsetup create w --table "$(stack_line 2 "$size" /dev/base st)"
cp /dev/mapper/w /tmp/w
says "base 1: belongs to another volume too" commit start top 2 base 1
says "top 4: layer 1 belongs to another volume too" commit start top 4
start top 4 base 3
is "$(wait_for_job v)" completed "what is not shared may be committed"
check "the content of one is the same" content_is_right
check "and of the other" cmp /dev/mapper/w /tmp/w
dmsetup remove w
dmsetup message st 0 delete_volume 2
check "what was shared is the origin's again" dmsetup message v 0 commit start
is "$(wait_for_job v)" completed "and is committed"
check "the base alone is the volume" base_is_right

dmsetup remove v
dmsetup remove st
check "the module unloads" rmmod dm_cowstack
done_testing
