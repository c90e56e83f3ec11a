# SPDX-License-Identifier: GPL-2.0
# File systems on the stack v, and what their own tools say of it and of the base by
# itself. Sourced by bash, after tap.sh, devices.sh and commits.sh. The programs are not
# in each guest: a test names them with --add, and --module btrfs.

mnt=/mnt
alone=/run/alone
base=/dev/hdd

# make_stack BASE-MB STORE-MB [ATTRIBUTE=VALUE]…: v over /dev/hdd, which has these, and
# its store in /dev/ssd
make_stack()
{
	local sectors=$(($1 * 2048))

	make_disk hdd "$1" "${@:3}"
	make_disk ssd "$2"
	dmcommit format /dev/ssd --name st >/dev/null
	attach_store st /dev/ssd
	dmsetup message st 0 "create_volume 1 $sectors v"
	dmsetup create v --table "$(stack_line 1 "$sectors" /dev/hdd st)"
}

remove_stack()
{
	check "the stack goes" dmsetup remove v
	check "the store goes" dmsetup remove st
	check "the store is clean" dmcommit check /dev/ssd
	remove_disk hdd
	remove_disk ssd
}

# make_fs TYPE DEVICE [OPTION]…
make_fs()
{
	case $1 in
	ext4) mkfs.ext4 -q -F "${@:3}" "$2" ;;
	xfs) mkfs.xfs -q -f "${@:3}" "$2" ;;
	btrfs) mkfs.btrfs -q -f "${@:3}" "$2" ;;
	esac
}

# read_anew DEVICE: what is cached of a base may be older than a commit, which goes past
# its cache.
read_anew()
{
	blockdev --flushbufs "$1"
}

# mount_fs TYPE DEVICE DIRECTORY [OPTIONS]. btrfs knows a file system by its id, whatever
# device it was seen on last. It gets no log tree: Linux 6.1.192 at times fails to replay
# one (EINVAL), also that of a plain disk's copy.
mount_fs()
{
	local options=${4:-defaults}

	if [ "$1" = btrfs ]; then
		btrfs device scan --forget >/dev/null 2>&1
		options+=,notreelog
	fi
	mkdir -p "$3"
	read_anew "$2"
	mount -t "$1" -o "$options" "$2" "$3"
}

# fsck_fs TYPE DEVICE: by what the file system's authors trust; writes nothing
fsck_fs()
{
	read_anew "$2"
	case $1 in
	ext4) e2fsck -f -n "$2" ;;
	xfs) xfs_repair -n "$2" ;;
	btrfs) btrfs check --readonly --check-data-csum --force "$2" ;;
	esac
}

# What nobody else may say while all is well.
file_system_errors()
{
	dmesg | grep -E -e 'EXT4-fs (error|warning)|JBD2.*error|Aborting journal' \
		-e 'XFS .*(orruption|Internal error|I/O error|hutting down)' \
		-e 'BTRFS (error|critical)|BTRFS warning.*csum' \
		-e 'Buffer I/O error|I/O error, dev dm-'
}

no_file_system_errors()
{
	is "$(file_system_errors)" "" "no file system has complained"
	dmesg -c >/dev/null
}

# Writes go to memory: the base itself is only read.
make_overlay()
{
	local sectors

	sectors=$(sectors_of $base)
	make_disk overlay 128
	dmsetup create alone --table \
		"0 $sectors snapshot $base /dev/overlay N 8"
}

remove_overlay()
{
	dmsetup remove alone
	remove_disk overlay
}

# has_trees DIRECTORY SEED…: what tree_work made with these is there
has_trees()
{
	local seed status=0

	for seed in "${@:2}"; do
		tree_work check "$1/kept$seed" "$seed" "$kept_files" || status=1
	done
	return $status
}

# make_tree SEED
make_tree()
{
	tree_work make "$mnt/kept$1" "$1" "$kept_files"
}

# judge_alone TYPE TEXT SEED…: what the base holds is a file system with these trees,
# and after its journal was replayed nothing is wrong with it. The stack's own may be
# mounted meanwhile, but of btrfs.
judge_alone()
{
	local type=$1 text=$2 options=
	shift 2

	[ "$type" != xfs ] || options=nouuid
	make_overlay
	check "$text: mounts" mount_fs "$type" /dev/mapper/alone $alone $options
	check "$text: has its files" has_trees $alone "$@"
	not_there=$(cd $alone && echo kept*)
	check "$text: is unmounted" umount $alone
	check "$text: fsck" fsck_fs "$type" /dev/mapper/alone
	[ "$type" != btrfs ] || btrfs device scan --forget >/dev/null 2>&1
	remove_overlay
}

# start_again WORD…: a commit, as soon as a job that was cancelled has let go
start_again()
{
	local i

	for ((i = 0; i < 600; i++)); do
		start "$@" 2>/dev/null && return
		sleep 0.2
	done
	start "$@"
}

# commit_rest TEXT: what a job that was under way, or stopped, leaves too
commit_rest()
{
	dmsetup message v 0 commit speed 0 2>/dev/null
	wait_for_job v >/dev/null
	start_again
	wait_for_job v >/dev/null
	start_again
	is "$(wait_for_job v)" completed "$1"
}

# drop_copies: clean copies that retain 1 has left, and the layers that held them
drop_copies()
{
	local layer

	for layer in $(layers | cut -d' ' -f2-); do
		dmsetup message v 0 make_empty "$layer" 2>/dev/null &&
			dmsetup message v 0 drop "$layer" 2>/dev/null
	done
	return 0
}

# disturb PAUSE: what an owner of layers does, each so many seconds, until /tmp/stop is
# there; /tmp/disturbed tells how many snapshots were taken and commits started
disturb()
{
	local count=0 snapshots=0 commits=0

	while [ ! -e /tmp/stop ]; do
		case $((count++ % 6)) in
		0) dmsetup message v 0 snapshot && snapshots=$((snapshots + 1)) ;;
		1) dmsetup message v 0 commit start retain 1 yield 0 speed 24M && commits=$((commits + 1)) ;;
		2) dmsetup message v 0 commit start yield 0 speed 12M && commits=$((commits + 1)) ;;
		3)
			dmsetup message v 0 commit cancel
			drop_copies
			;;
		4) dmsetup message v 0 commit start yield 0 && commits=$((commits + 1)) ;;
		5) drop_copies ;;
		esac 2>/dev/null
		echo "$snapshots $commits" >/tmp/disturbed.new
		mv /tmp/disturbed.new /tmp/disturbed
		sleep "$1"
	done
}

start_disturbing()
{
	rm -f /tmp/stop
	echo 0 0 >/tmp/disturbed
	disturb "$1" &
	disturber=$!
}

was_disturbed()
{
	local snapshots commits

	read -r snapshots commits </tmp/disturbed
	[ "$snapshots" -gt 0 ] && [ "$commits" -gt 0 ]
}

stop_disturbing()
{
	touch /tmp/stop
	wait $disturber
	check "snapshots were taken and commits started beside" was_disturbed
	diag "snapshots and commits: $(cat /tmp/disturbed)"
}

start_churn()
{
	rm -rf "$mnt/churn"
	tree_work churn "$mnt/churn" "$1" >/tmp/churned 2>&1 &
	churn=$!
}

stop_churn()
{
	local status=0

	kill "$churn"
	wait "$churn" || status=$?
	is "$status" 0 "work beside is what was written"
	diag "$(tail -n 3 /tmp/churned)"
}
