#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 600
# only on the debug kernel: no kernel of Debian's has dm-dust
# Blocks that read as errors until they are written, as disks grow them, below the base and
# below the store: in work, in a commit, at a load. What is told, that nothing else fails,
# and that a write heals: a guest's, a commit's, the store's own, or one by hand.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/failing.sh
. /lib/cowstack-tests/store_bytes.sh
. /lib/cowstack-tests/commits.sh

modprobe dm-dust 2>/dev/null
dmsetup targets | grep -q '^dust ' || skip_all "this kernel has no dm-dust"
modprobe dm-cowstack
# The volume has 64 chunks of 64 KiB, 16 blocks each; the base goes on behind its end, and
# all of it is in the base's sample.
chunks=64
# This kernel knows errors by their numbers alone.
eio="\\($(error_word EIO)\\)"
size=$((chunks * 128))
make_disk fast 16
make_disk slow 5
modprobe brd rd_nr=1 rd_size=4096
ln -s ram0 /dev/shadow
for name in ssd:fast hdd:slow; do
	dmsetup create "${name%:*}" --table "0 $(sectors_of "/dev/${name#*:}") dust /dev/${name#*:} 0 4096"
	dmsetup message "${name%:*}" 0 quiet
	dmsetup message "${name%:*}" 0 enable
done

# grow_bad DEVICE BLOCK [WRITES]: so many writes there fail too, before one heals it
grow_bad()
{
	dmsetup message "$1" 0 addbadblock "${@:2}"
}

# bad_blocks DEVICE: how many there are
bad_blocks()
{
	dmsetup message "$1" 0 countbadblocks | tr -d -c '0-9\n'
}

# heal DEVICE DISK BLOCK: what the disk should have there is written
heal()
{
	dd if="$2" of="$1" bs=4k skip="$3" seek="$3" count=1 iflag=direct oflag=direct \
		conv=notrunc 2>&1
}

# put_block BLOCK: new content, to the volume and the shadow
put_block()
{
	local device

	dd if=/dev/urandom of=/tmp/new bs=4k count=1 2>/dev/null
	for device in /dev/mapper/v /dev/shadow; do
		dd if=/tmp/new of=$device bs=4k seek="$1" oflag=direct conv=notrunc 2>&1 || return
	done
}

# next_step_block: where the next step will be written
next_step_block()
{
	echo $(($(ring_start /dev/fast) +
		$(at_rest status_value st journal_position) % $(ring_blocks /dev/fast)))
}

up()
{
	attach_store st /dev/mapper/ssd &&
		dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/hdd st "$@")"
}

down()
{
	dmsetup remove v && dmsetup remove st
}

same()
{
	is "$(content /dev/mapper/v)" "$(content /dev/shadow)" "$1"
}

# same_but CHUNK TEXT: the rest of the content is right
same_but()
{
	is "$(content /dev/mapper/v 0 "$1") $(content /dev/mapper/v $(($1 + 1)))" \
		"$(content /dev/shadow 0 "$1") $(content /dev/shadow $(($1 + 1)))" "$2"
}

base_is_volume()
{
	is "$(base_alone)" valid "$1: the base is valid"
	is "$(content /dev/slow 0 $chunks)" "$(content /dev/shadow)" "$1: the base is the volume"
}

io_error()
{
	like "$1" "Input/output error" "$2"
}

all_is_rw()
{
	is "$(status_field st 1) $(status_field v 1)" "rw rw" "$1: store and stack are rw"
}

# refused_at_load TEXT PATTERN: the store
refused_at_load()
{
	forget_log
	check_fails "$1: the store is refused" attach_store st /dev/mapper/ssd
	like "$(dmesg)" "cowstore: dm-[0-9]+: $2 $eio" "$1: with that reason"
	timeout 300 dmcommit check /dev/mapper/ssd >/tmp/answer 2>&1
	is "$?" 1 "$1: check cannot say that it is whole"
	like "$(cat /tmp/answer)" "Input/output error" "$1: it says why"
}

dmcommit format /dev/mapper/ssd --name st >/dev/null
copy_chunks /dev/urandom 0 80 /dev/slow >/dev/null
copy_chunks /dev/slow 0 $chunks /dev/shadow >/dev/null
attach_store st /dev/mapper/ssd
dmsetup message st 0 create_volume 1 "$size" v
dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/hdd st)"

# --- below the base: work ---
forget_log
grow_bad hdd $((50 * 16 + 3))
io_error "$(read_chunk 50 /dev/mapper/v)" "base: a read of it fails"
same_but 50 "base: what lies beside it can be read"
io_error "$(dd if=/dev/zero of=/dev/mapper/v bs=512 count=1 seek=$(((50 * 16 + 3) * 8 + 1)) oflag=direct 2>&1)" \
	"base: a write of a part of it, which needs the rest, fails"
check "base: one of all of it is taken" put_block $((50 * 16 + 3))
same "base: then all can be read"
is "$(bad_blocks hdd)" 1 "base: though it is as bad as it was"
all_is_rw "base"
is "$(lines_with "cowstack ")" 0 "base: the log has nothing of ours"

# --- a commit ---
commits "base: a commit goes over it"
is "$(bad_blocks hdd)" 0 "base: which heals it"
base_is_volume "base, a commit"

put 20 10 /dev/mapper/v /dev/shadow >/dev/null
grow_bad hdd $((24 * 16 + 5)) 250
grow_bad hdd $((60 * 16))
forget_log
start
is "$(job_end)" "stopped errno 5 errors 1 first $((24 * 128)) mixed" \
	"base: a commit that cannot write it stops; the status names the place"
is "$(lines_with "cowstack v: commit stopped: error -5")" 1 "base: one line in the log"
all_is_rw "base, a commit that stopped"
timeout 300 dmcommit wait v >/dev/null 2>&1
is "$?" 6 "base: the tool's exit status is 6"
same_but 60 "base: the volume shows what it did"
# Its disk has found another place for it.
dmsetup message hdd 0 removebadblock $((24 * 16 + 5))
grow_bad hdd $((24 * 16 + 5))
commits "base: another start ends it"
is "$(bad_blocks hdd)" 1 "base: what it wrote is healed, and what no layer holds is not read"
io_error "$(read_chunk 60 /dev/mapper/v)" "base: that fails as before"
check "base: it is written" put 60 1 /dev/mapper/v /dev/shadow
commits "base: and committed"
is "$(bad_blocks hdd)" 0 "base: that heals it"
base_is_volume "base, all of it"
same "base: the volume shows the same"

# --- a load: behind the volume's end, where nothing of it is written ---
grow_bad hdd $((70 * 16 + 9))
check "base: down" down
attach_store st /dev/mapper/ssd
forget_log
check_fails "base: at a load it is refused, as it cannot be told from another" \
	dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/hdd st)"
like "$(dmesg)" "cowstack: base dm-[0-9]+ cannot be read $eio" "base: with that reason"
check "base: written by hand" heal /dev/mapper/hdd /dev/slow $((70 * 16 + 9))
check "base: it comes up" dmsetup create v --table "$(stack_line 1 "$size" /dev/mapper/hdd st)"
same "base: with its content"

# --- below the store: work ---
put 0 20 /dev/mapper/v /dev/shadow >/dev/null
check "store: a flush" synchronize /dev/mapper/v
place=$(place_of 7)
grow_bad ssd $((place * 16 + 2))
forget_log
io_error "$(read_chunk 7 /dev/mapper/v)" "store: a read of data fails"
same_but 7 "store: all else can be read"
all_is_rw "store"
is "$(lines_with "cowstack ")" 0 "store: the log has nothing of ours"
check "store: the guest writes it again" put_block $((7 * 16 + 2))
is "$(bad_blocks ssd)" 0 "store: that heals it"
same "store: and all can be read"
grow_bad ssd "$(next_step_block)"
put 30 1 /dev/mapper/v /dev/shadow >/dev/null
check "store: a step over one" synchronize /dev/mapper/v
is "$(bad_blocks ssd)" 0 "store: heals it"

# --- a commit: what cannot be read stays where it is ---
grow_bad ssd $((place * 16 + 2))
forget_log
start
is "$(job_end)" "stopped errno 5 errors 1 first $((7 * 128)) mixed" \
	"store: a commit that cannot read it stops; the status names the place"
is "$(lines_with "cowstack v: commit stopped: error -5")" 1 "store: one line in the log"
same_but 7 "store: all else can be read"
start on_error report
is "$(job_end)" "completed errno 5 errors 1 first $((7 * 128)) mixed" \
	"store: on_error report leaves it out"
like "$(dmcommit status v --errors)" "$((7 * 128)) *128" "store: and names it"
same_but 7 "store: nothing else is lost"
check "store: the guest writes it again" put 7 1 /dev/mapper/v /dev/shadow
commits "store: another start ends it"
base_is_volume "store"
same "store: the volume shows the same"
dmsetup message ssd 0 clearbadblocks >/dev/null

# --- loads ---
put 10 4 /dev/mapper/v /dev/shadow >/dev/null
dmsetup message v 0 snapshot
check "store: down" down
grow_bad ssd 0
forget_log
check "superblock: the other one is enough" up
is "$(lines_with "one superblock of dm-0 is damaged or old")" 1 "superblock: a line tells of it"
is "$(bad_blocks ssd)" 0 "superblock: it is written anew, which heals it"
same "superblock: the content is right"
check "superblock: down" down

block=$(step_block /dev/fast 1)
grow_bad ssd "$block"
# Of a row that is read at once its first block is named.
refused_at_load journal "cannot be read \(block [0-9]+\)"
check "journal: written by hand" heal /dev/mapper/ssd /dev/fast "$block"
check "journal: it comes up" up
same "journal: the content is right"
block=$(($(next_step_block) + 5))
check "journal: down" down
grow_bad ssd "$block"
refused_at_load "empty block" "cannot be read \(block [0-9]+\)"
rm -f /tmp/backup
timeout 300 dmcommit check /dev/mapper/ssd --repair --yes --backup /tmp/backup >/tmp/answer 2>&1
is "$?" 5 "empty block: a repair cannot say that no step was there"
like "$(cat /tmp/answer)" "block $block of the journal cannot be read; it is written, with no step in it" \
	"empty block: it says that it writes it"
is "$(bad_blocks ssd)" 0 "empty block: that heals it"
check "empty block: it comes up" up
same "empty block: all that was flushed is there"
check "empty block: down" down

check "the store is whole" dmcommit check /dev/mapper/ssd
check "the module unloads" rmmod dm_cowstack
done_testing
