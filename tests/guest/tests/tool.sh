#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 1024 --cpus 2 --timeout 600 --add /usr/bin/script --add /usr/bin/jq
# guest in check: --cpus 1
# dmcommit: every command, its exit codes, its one line on stderr, its JSON.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh
. /lib/cowstack-tests/json.sh
. /lib/cowstack-tests/tool.sh

commands="format attach detach create up down delete clone resize grow snapshot drop
	pin unpin start stream empty wait pause resume cancel speed set status layers list
	check"

# has_keys TEXT KEY…: of $output
has_keys()
{
	local key missing=

	for key in "${@:2}"; do
		grep -q "\"$key\":" <<<"$output" || missing+=" $key"
	done
	is "$missing" "" "$1"
}

# --- without a kernel ---

test_usage()
{
	local command

	works "--help" --help
	for command in $commands; do
		grep -q "^  $command " <<<"$output" || diag "not in --help: $command"
		grep -q "^  $command " <<<"$output" || break
	done
	is "$command" check "--help names all commands"
	for command in $commands; do
		works "$command --help" "$command" --help
		fails 2 "$command with an unknown option" "--bogus" \
			"$command" --bogus
	done
	works "--version" --version
	like "$output" '^dmcommit ' "the version is printed"
	fails 2 "no command" "no command"
	fails 2 "an unknown command" "frobnicate" frobnicate
	fails 2 "an unknown option" "--frobnicate" --frobnicate
	fails 2 "a missing argument" "usage: dmcommit format DEV" format
	fails 2 "one argument too many" "two" format one two
	fails 2 "an empty argument" "empty" format ""
	fails 2 "a missing value" "--name" format /dev/ssd --name
	fails 2 "an option twice" "twice" format /dev/ssd --name a --name b
	fails 2 "a missing option" "--base" create vm --store st
	fails 2 "a bad size" "1Q" resize vm 1Q
	fails 2 "a bad rate" "fast" speed vm fast
	fails 2 "a bad time" "noon" start vm --until noon
	fails 2 "a bad word" "maybe" start vm --on-error maybe
	fails 2 "a bad name" "-vm" create --base /dev/hdd --store st -- -vm
	fails 2 "a feature without value" "on_full" attach /dev/ssd --set on_full
	fails 2 "an unknown feature" "colour" attach /dev/ssd --set colour=red
	fails 2 "a feature's bad value" "on_full.*later" \
		attach /dev/ssd --set on_full=later
	run bash -c 'dmcommit --help >/dev/full'
	is "$status" 1 "what cannot be printed is a failure"
}

test_format()
{
	fails 3 "format of what is not there" "/dev/nothing" format /dev/nothing
	fails 1 "format of a character device" "/dev/null" format /dev/null
	fails 2 "format with a bad chunk size" "96K" \
		format /dev/ssd --chunk-size 96K
	fails 3 "check of an empty device" "no store" check /dev/ssd
	fails 3 "attach of an empty device" "no store" attach /dev/ssd
	silent "format" format /dev/ssd --name ssd --chunk-size 64K
	fails 4 "format of a store" "ssd.*--force" format /dev/ssd
	works "check" check /dev/ssd
	json "check --json" check /dev/ssd --json
	is "$(json_value "$output" clean)" true "a new store is clean"
	is "$(json_value "$output" name)" ssd "its name is the one given"

	mkfs.ext4 -q /dev/other
	fails 4 "format of an ext4 file system" "ext4.*--force" format /dev/other
	check "which is still there" e2fsck -fn /dev/other
	mount /dev/other /mnt
	fails 4 "format of a mounted device, even with --force" "/mnt" \
		format /dev/other --force
	umount /mnt
	write_partition_table
	fails 4 "format of a device with partitions" "partition" \
		format /dev/small
	fails 1 "format of a device that is too small" "too small" \
		format /dev/small --force --chunk-size 1M
	silent "format with --force" format /dev/other --force
	like "$(blkid -p /dev/other; echo "$?")" '^2$' \
		"nothing is left of what was there"
	truncate -s 16M /tmp/file
	silent "format of a file" format /tmp/file
	works "check of a file" check /tmp/file
	blockdev --setro /dev/other
	fails 1 "format of a read-only device" "/dev/other" \
		format /dev/other --force
	fails 1 "attach of a read-only device" "read-only" attach /dev/other
	blockdev --setrw /dev/other
}

# A DOS partition table with one partition over all of /dev/small.
write_partition_table()
{
	dd if=/dev/zero of=/dev/small bs=1M count=1 2>/dev/null
	printf '\000\000\002\000\203\003\040\000\010\000\000\000\000\040\000\000' |
		dd of=/dev/small bs=1 seek=446 conv=notrunc 2>/dev/null
	printf '\125\252' | dd of=/dev/small bs=1 seek=510 conv=notrunc 2>/dev/null
}

test_no_kernel()
{
	rmmod dm_cowstack 2>/dev/null
	json "list --json with nothing there" list --json
	silent "list with nothing there" list
	fails 3 "status of what is not there" "nothing" status nothing
	fails 3 "wait for what is not there" "nothing" wait nothing
	fails 3 "detach of what is not there" "nothing" detach nothing
	check "attach loads the module" dmcommit attach /dev/ssd
	check "the store's node is there" test -b /dev/mapper/ssd
	silent "detach" detach ssd
	check "and then it is not" test ! -e /dev/mapper/ssd
}

# reload DEVICE: with the table that it prints
reload()
{
	dmsetup table "$1" | dmsetup reload "$1"
	dmsetup resume "$1"
}

# Commands that attach a store and then fail.
test_attach_undone()
{
	local arguments

	while read -r arguments; do
		# shellcheck disable=SC2086
		run dmcommit $arguments
		is "$(test "$status" -ne 0 && dmsetup ls)" "No devices found" \
			"nothing stays attached: $arguments"
	done <<-'END'
		create vm --base /dev/nothing --store /dev/ssd
		create vm --base /dev/ssd --store /dev/ssd
		create vm --base /dev/hdd --store /dev/ssd --set promote=1
		create vm --base /dev/hdd --store /dev/ssd --size 1000
		up nothing --base /dev/hdd --store /dev/ssd
		up other/vm --base /dev/hdd --store /dev/ssd
	END
	silent "attach" attach /dev/ssd
	like "$(dmcommit status ssd)" 'volumes 0' "none of these left a volume"
	silent "detach" detach ssd
}

# --- a life ---

test_attach()
{
	silent "attach with features" attach /dev/ssd --set on_full=error \
		--set no_space_timeout=5
	like "$(dmsetup table ssd)" 'on_full error' "the table has the features"
	like "$(dmsetup info -c --noheadings -o uuid ssd)" \
		'^COWSTORE-[0-9a-f-]{36}$' "the store's uuid"
	fails 4 "attach twice" "ssd" attach /dev/ssd
	fails 4 "check of an attached store" "in use" check /dev/ssd
	fails 4 "format of an attached store, even with --force" "in use" \
		format /dev/ssd --force
	silent "set on a store" set ssd no_space_timeout=9
	reload ssd
	like "$(dmsetup table ssd)" 'no_space_timeout 9' \
		"what was set stays over a reload of its own table"
	silent "set to the default" set ssd on_full=queue
	like "$(dmsetup table ssd)" 'cowstore [0-9:]* 2 no_space_timeout 9$' \
		"it is left out of the table"
	fails 2 "set of an unknown feature" "colour" set ssd colour=red
	fails 1 "set of a feature that is not built" "not built" \
		set ssd keep_hot=5
	works "status of a store" status ssd
	json "status of a store, --json" status ssd --json
	has_keys "it has its keys" name device mode uuid used_bytes total_bytes \
		clean_bytes out_of_space
	works "status of a store by its device" status /dev/ssd
}

test_create()
{
	fails 3 "create over a base that is not there" "/dev/nothing" \
		create vm --base /dev/nothing --store ssd
	fails 3 "create in a store that is not there" "nothing" \
		create vm --base /dev/hdd --store nothing
	fails 4 "create over the store itself" "ssd" \
		create vm --base /dev/ssd --store ssd
	fails 2 "create with a bad feature" "colour" \
		create vm --base /dev/hdd --store ssd --set colour=red
	fails 1 "create with a feature that is not built" "not built" \
		create vm --base /dev/hdd --store ssd --set promote=1
	like "$(dmcommit status ssd)" 'volumes 0' "none of these left a volume"
	silent "create" create vm --base /dev/hdd --store ssd
	check "the stack's node is there" test -b /dev/mapper/vm
	is "$(sectors_of /dev/mapper/vm)" "$(sectors_of /dev/hdd)" \
		"its size is the base's"
	like "$(dmsetup info -c --noheadings -o uuid vm)" \
		'^COWSTACK-[0-9a-f-]{36}-1$' "the stack's uuid"
	fails 4 "create twice" "vm" create vm --base /dev/hdd --store ssd
	fails 4 "detach under a volume" "vm" detach ssd
	fails 4 "delete of a volume that is up" "vm" delete vm
	fails 4 "up of a volume that is up" "vm" up vm --base /dev/hdd
	works "list" list
	like "$output" 'ssd.*vm' "it shows store and volume"
	json "list --json" list --json
	works "status" status
	json "status --json" status --json
	works "layers" layers vm
	json "layers --json" layers vm --json
}

# The contract's keys, one by one.
test_status()
{
	works "status of a volume" status vm
	json "status of a volume, --json" status vm --json
	has_keys "it has its keys" name mode base base_alone base_time store \
		device used_bytes total_bytes clean_bytes out_of_space layers \
		id role pinned job kind state top done_bytes total_bytes rate \
		limit eta_seconds error errors
	is "$(json_value "$output" name)" vm "name"
	is "$(json_value "$output" mode)" rw "mode"
	is "$(json_value "$output" base)" /dev/hdd "base"
	is "$(json_value "$output" base_alone)" unknown "base_alone"
	is "$(json_value "$output" base_time)" null "base_time"
	is "$(json_value "$output" state)" idle "job"
	works "status by path" status /dev/mapper/vm
	works "status by store and name" status ssd/vm
	works "status by id" status "ssd/#1"
	dmcommit status vm --watch --json >/tmp/watched 2>&1 &
	check "--watch prints again" await has_said 2 '"base_alone"' /tmp/watched
	check "and goes on" kill $!
	wait $! 2>/dev/null
}

fill()
{
	dd if=/dev/urandom of=/dev/mapper/vm bs=1M count="$1" conv=fsync \
		2>/dev/null
}

test_snapshot()
{
	local oldest

	fill 2
	silent "snapshot" snapshot vm
	silent "snapshot with a name" snapshot vm --name monday
	fails 4 "snapshot with a name that is taken" "" snapshot vm --name monday
	fails 2 "snapshot with a bad name" "a/b" snapshot vm --name a/b
	fails 2 "snapshot with the name of an id" "a number is a layer's id" snapshot vm --name 7
	works "layers" layers vm
	like "$output" 'monday' "the layer has its name"
	is "$(dmcommit layers vm | grep -c frozen)" 2 "two layers are frozen"
	fails 3 "drop of a layer that is not there" "99" drop vm 99
	oldest=$(dmcommit layers vm | awk 'END { print $1 }')
	fails 4 "drop of a layer with data" "" drop vm "$oldest"
	silent "drop of an empty layer by its name" drop vm monday
	is "$(dmcommit layers vm | grep -c frozen)" 1 "it has left the chain"
	fails 1 "freeze where nothing is mounted" "mounted" snapshot vm --freeze
}

has_ended()
{
	! kill -0 "$1" 2>/dev/null
}

test_freeze()
{
	local child when=soon

	mkfs.ext4 -q /dev/mapper/vm
	mount /dev/mapper/vm /mnt
	echo words >/mnt/file
	silent "snapshot --freeze of a mounted file system" snapshot vm --freeze --name rest
	check "it is not frozen any more" touch /mnt/other
	dmcommit snapshot vm --freeze --name rest 2>/mnt/said &
	child=$!
	await has_ended "$child" || { when=never; busybox fsfreeze --unfreeze /mnt; }
	wait "$child"
	is "$? $(wc -l </mnt/said) $when" "4 1 soon" "a refusal may go into what was frozen, too"
	fails 4 "down of a mounted volume" "/mnt" down vm
	umount /mnt
}

test_start()
{
	local pipe=

	works "start --wait" start vm --wait
	like "$output" 'commit completed.*, data at [0-9.]+[KM]/s' \
		"it says what was done, and how fast"
	is "$(json_value "$(dmcommit status vm --json)" base_alone)" valid \
		"the base alone is valid"
	like "$(json_value "$(dmcommit status vm --json)" base_time)" \
		'^[0-9]{10}$' "and has a time"
	check "it is the file system" e2fsck -fn /dev/hdd
	silent "wait without a job" wait vm
	fails 1 "cancel without a job" "no job" cancel vm
	fails 1 "speed without a job" "no job" speed vm 1M
	fails 1 "set of a stack's feature that is not built" "not built" \
		set vm promote=1
	fails 3 "start with a top that is not there" "99" start vm --top 99
	fill 2
	json "start --wait --json" start vm --wait --json
	is "$(json_value "$output" state)" completed "it says how it ended"

	fill 2
	silent "start" start vm --speed 64K
	run_interrupted dmcommit wait vm
	is "$status" 130 "an interrupted wait"
	like "$error" 'goes on' "the job goes on"
	like "$(dmsetup status vm)" 'running|completed' "and really does"
	silent "speed" speed vm 0
	works "wait" wait vm

	fill 2
	run_interrupted dmcommit start vm --speed 64K --wait
	is "$status" 130 "an interrupted start --wait"
	like "$error" 'goes on' "the job goes on"
	like "$(dmsetup status vm)" 'running' "and really does"
	silent "speed" speed vm 0
	works "wait" wait vm

	fill 8
	pipe=$(TERM=vt100 dmcommit start vm --wait 2>&1 | tr -dc '\r\033#[' )
	is "$pipe" "" "nothing of a progress bar in a pipe"
	fill 8
	commit_on_terminal 'vm \['
	like "$(tr '\r' '\n' </tmp/terminal)" 'vm \[#*\.*\] +[0-9]+ %' \
		"it is one"
}

test_cancel()
{
	local waiter

	fill 8
	silent "start at a limited speed" start vm --speed 64K
	fails 4 "start while a job runs" "job" start vm
	dmcommit wait vm >/tmp/waited 2>&1 &
	waiter=$!
	check "somebody waits for it" await is_waiting $waiter
	# The base is marked by the job's own thread.
	check "a part of it is done" await has_moved vm
	silent "cancel" cancel vm
	wait "$waiter"
	is "$?" 7 "wait for a job that was cancelled"
	like "$(cat /tmp/waited)" '^dmcommit: vm.*cancelled' "it says so"
	silent "wait without a job, later" wait vm
	is "$(json_value "$(dmcommit status vm --json)" base_alone)" mixed \
		"the base is mixed"
	works "another start" start vm --wait
	is "$(json_value "$(dmcommit status vm --json)" base_alone)" valid \
		"makes it valid again"
}

test_down_and_up()
{
	local sum

	fill 4
	sum=$(xxhsum </dev/mapper/vm)
	silent "down" down vm
	check "its node has gone" test ! -e /dev/mapper/vm
	works "status of a volume that is down" status vm
	json "the same, --json" status vm --json
	is "$(json_value "$output" mode)" down "its mode is down"
	like "$(json_value "$output" base_time)" '^[0-9]{10}$' \
		"it knows when its last commit was"
	is "$(grep -c '"role":' <<<"$output")" 1 "and its layers"
	works "layers of a volume that is down" layers vm
	like "$output" ' top ' "it has one"
	fails 1 "snapshot of a volume that is down" "not up" snapshot vm
	fails 1 "wait for a volume that is down" "not up" wait vm
	silent "detach" detach ssd
	works "check of a store with data" check /dev/ssd

	fails 3 "up without its store" "vm" up vm --base /dev/hdd
	fails 3 "up of a volume that is not there" "nothing" \
		up nothing --base /dev/hdd --store /dev/ssd
	check "which left the store as it was" test ! -e /dev/mapper/ssd
	silent "up with the store's device" up vm --base /dev/hdd --store /dev/ssd
	is "$(xxhsum </dev/mapper/vm)" "$sum" "its content is the same"
	silent "down again" down vm

	cp /dev/hdd /tmp/hdd
	printf different | dd of=/dev/hdd conv=notrunc 2>/dev/null
	fails 4 "up over a changed base" "accept-base" up vm --base /dev/hdd
	fails 4 "up over another base" "accept-base" up vm --base /dev/other
	check "neither came up" test ! -e /dev/mapper/vm
	silent "up with --accept-base" up vm --base /dev/hdd --accept-base
	silent "down after it" down vm
	silent "up without, as it is the recorded one now" up vm --base /dev/hdd
	silent "down once more" down vm
	blockdev --setro /dev/hdd
	fails 1 "up over a read-only base" "read-only" up vm --base /dev/hdd
	silent "up with --read-only-base" up vm --base /dev/hdd --read-only-base
	fails 1 "commit into it" "" start vm
	silent "down of it" down vm
	blockdev --setrw /dev/hdd
}

# A job that is cut off, and one that stands still, while their volume is down.
test_down_with_job()
{
	silent "up" up vm --base /dev/hdd
	fill 4
	silent "start" start vm --speed 64K
	silent "down beside a job" down vm
	works "status" status vm
	like "$output" 'commit of layer [0-9]+ into the base: cut off, .*; it goes on when vm is up' \
		"it says that the job was cut off"
	like "$output" 'mixed: .* goes on when the volume is up' \
		"and what that makes of the base"
	json "status --json" status vm --json
	is "$(json_value "$(sed '1,/"job"/d' <<<"$output")" state)" running \
		"for programs"
	is "$(json_value "$output" eta_seconds)" null "nobody knows when it ends"
	works "list" list
	like "$output" 'vm .* down .* cut off ' "list shows it, too"
	json "list --json" list --json
	is "$(grep -c '"job_state": *"running"' <<<"$output")" 1 \
		"for programs it is what the store has recorded"
	silent "up" up vm --base /dev/hdd
	silent "pause" pause vm
	silent "down" down vm
	works "status" status vm
	like "$output" 'paused.*dmcommit resume vm goes on with it once it is up' \
		"one that is paused is not idle"
	json "list --json" list --json
	is "$(grep -c '"job_state": *"paused"' <<<"$output")" 1 \
		"nor in the list"
	silent "up" up vm --base /dev/hdd
	works "start goes on with it" start vm --speed 0 --wait
	silent "down" down vm
	is "$(json_value "$(dmcommit status vm --json)" base_alone)" valid \
		"the base is whole"
}

# What was waited for is gone, here and where udev is asked for in vain.
test_semaphores()
{
	silent "up without being told to leave udev alone" \
		up vm --base /dev/hdd
	env -u DM_DISABLE_UDEV dmcommit down vm
	env -u DM_DISABLE_UDEV dmcommit up vm --base /dev/hdd
	check "the node is there at once" test -b /dev/mapper/vm
	env -u DM_DISABLE_UDEV dmcommit down vm
	check "and has gone at once" test ! -e /dev/mapper/vm
	is "$(tail -n +2 /proc/sysvipc/sem)" "" "no semaphore is left"
}

test_resize()
{
	silent "up" up vm --base /dev/hdd
	fails 4 "shrinking" "shrink" resize vm 16M
	fails 2 "a size of half a sector" "1000" resize vm 1000
	silent "set on a stack" set vm resume_commit=0
	silent "resize of a volume that is up" resize vm 40M
	like "$(dmsetup table vm)" ' 2 resume_commit 0$' \
		"what was set stays over a reload"
	is "$(blockdev --getsize64 /dev/mapper/vm)" $((40 << 20)) \
		"it has the size at once"
	silent "down" down vm
	silent "resize of a volume that is down" resize vm 48M
	silent "up" up vm --base /dev/hdd
	is "$(blockdev --getsize64 /dev/mapper/vm)" $((48 << 20)) \
		"it comes up with it"
	silent "down" down vm
}

# The same name in two stores; a store whose device grows.
test_two_stores()
{
	local name before after

	dmsetup create growing --table "0 65536 linear /dev/other 0"
	silent "format of another store" format /dev/mapper/growing --force
	silent "create with a store's device" \
		create two --base /dev/base2 --store /dev/mapper/growing --size 8M
	silent "delete needs it down" down two
	run dmcommit list
	name=$(awk '/^store-/ { print $1 }' <<<"$output")
	like "$name" '^store-[0-9a-f]{8}$' "a store without a name is called by its uuid"
	silent "create the same name there" \
		create vm --base /dev/base2 --store "$name"
	silent "down" down "$name/vm"
	fails 2 "a name that two stores have" "STORE/vm" status vm
	works "status of one of them" status "$name/vm"
	works "status of the other" status ssd/vm
	fails 3 "a store that is not there" "nothing" status nothing/vm
	before=$(json_value "$(dmcommit status "$name" --json)" total_bytes)
	dmsetup suspend growing
	dmsetup reload growing --table "0 98304 linear /dev/other 0"
	dmsetup resume growing
	silent "grow" grow "$name"
	after=$(json_value "$(dmcommit status "$name" --json)" total_bytes)
	is $((after - before)) $((16 << 20)) "the store has what its device has"
	silent "delete of one" delete "$name/vm"
	silent "delete of another" delete two
	silent "detach" detach "$name"
	dmsetup remove growing
}

# A base that stops taking writes.
test_errors()
{
	local sectors

	sectors=$(sectors_of /dev/base2)
	dmsetup create bad --table "0 $sectors linear /dev/base2 0"
	silent "create over a base that will fail" \
		create e --base /dev/mapper/bad --store ssd
	dd if=/dev/urandom of=/dev/mapper/e bs=1M count=2 conv=fsync 2>/dev/null
	dmsetup suspend --noflush bad
	dmsetup reload bad --table \
		"0 $sectors flakey /dev/base2 0 0 3600 1 error_writes"
	dmsetup resume bad
	fails 6 "start --wait with a base that fails" "stopped" start e --wait
	fails 6 "wait for a stopped job" "stopped" wait e
	json "status of it" status e --json
	is "$(json_value "$output" state)" stopped "its state"
	dmsetup suspend --noflush bad
	dmsetup reload bad --table "0 $sectors linear /dev/base2 0"
	dmsetup resume bad
	works "start goes on when the base is well again" start e --wait
	silent "down" down e
	silent "delete" delete e
	dmsetup remove bad
}

# Volumes that nobody made with this tool.
test_by_hand()
{
	dmsetup message ssd 0 create_volume 77 2048
	works "list with a volume without a name" list
	like "$output" '#77' "it is called by its id"
	dmsetup create byhand --table "0 2048 cowstack /dev/base2 /dev/mapper/ssd 77"
	works "status by the stack's name" status byhand
	silent "snapshot by the stack's name" snapshot byhand
	silent "down" down byhand
	silent "delete by id" delete '#77'
}

test_damage()
{
	local place

	silent "delete" delete vm
	silent "detach" detach ssd
	check "the module leaves" rmmod dm_cowstack
	for place in 0 16; do
		printf damage | dd of=/dev/ssd bs=1 seek=$((place * 4096 + 100)) \
			conv=notrunc 2>/dev/null
	done
	fails 5 "check of a damaged store" "damaged" check /dev/ssd
	run dmcommit check /dev/ssd --json
	is "$status $(json_value "$output" clean)" "5 false" "the same, --json"
	fails 5 "attach of a damaged store" "/dev/ssd" attach /dev/ssd
	fails 4 "format of a damaged store" "--force" format /dev/ssd
}

make_disk ssd 64
make_disk hdd 32
make_disk other 64
make_disk base2 16
make_disk small 4
test_usage
test_format
test_no_kernel
test_attach_undone
test_attach
test_create
test_status
test_snapshot
test_freeze
test_start
test_cancel
test_down_and_up
test_down_with_job
test_semaphores
test_resize
test_two_stores
test_errors
test_by_hand
test_damage
check_schemas
done_testing
