#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guest: --memory 512 --cpus 2 --timeout 300
# dmcommit up and down by what /etc/dmcommit/stacks.conf says: in order, as often as one
# likes, each failure by itself, and nobody's file but root's.
. /lib/cowstack-tests/tap.sh
. /lib/cowstack-tests/devices.sh

file=/etc/dmcommit/stacks.conf

# run ARGUMENT…: sets $said and $status
run()
{
	status=0
	said=$(dmcommit "$@" 2>&1) || status=$?
}

# done_silently TEXT ARGUMENT…
done_silently()
{
	run "${@:2}"
	is "$status:$said" "0:" "$1"
}

# fails STATUS LINES TEXT PATTERN ARGUMENT…
fails()
{
	run "${@:5}"
	if [ "$status" -eq "$1" ] && [ "$(wc -l <<<"$said")" -eq "$2" ] &&
	   [[ $said =~ $4 ]]; then
		ok "$3"
	else
		not_ok "$3"
		diag "status $status: $said"
	fi
}

devices()
{
	dmsetup ls 2>/dev/null | awk '$2 ~ /^\(/ { print $1 }' | sort | paste -s -d ' '
}

modprobe dm-cowstack
make_disk ssd 32
make_disk disk 64
make_disk master 16
make_disk other 16
dd if=/dev/urandom of=/dev/master bs=1M 2>/dev/null
dd if=/dev/urandom of=/dev/other bs=1M 2>/dev/null
dmcommit format /dev/ssd --name fast
dmcommit format /dev/disk --name slow
mkdir -p /etc/dmcommit

# --- what the file names is made by hand, once ---
dmcommit attach /dev/disk
dmcommit create cold --base /dev/master --store slow
dmcommit create hot --base /dev/mapper/cold --store /dev/ssd
dmcommit create spare --base /dev/other --store fast
content=$(sha256sum </dev/mapper/hot)
dd if=/dev/urandom of=/dev/mapper/hot bs=64k count=3 oflag=direct 2>/dev/null
written=$(sha256sum </dev/mapper/hot)

cat >$file <<'END'
# upper before lower, stacks before stores: the order is not that of the lines
stack	hot	fast	/dev/mapper/cold	resume_commit=0
stack	cold	slow	/dev/master
store	slow	/dev/disk	nofail
stack	spare	fast	/dev/other	noauto,read-only-base
store	fast	/dev/ssd	no_space_timeout=7
END

done_silently "down --all" down --all
is "$(devices)" "" "all has gone, noauto too"
done_silently "down --all again" down --all
done_silently "up --all" up --all
is "$(devices)" "cold fast hot slow" "all is there but noauto"
like "$(dmsetup table fast)" "no_space_timeout 7" "the store's features are those of its line"
like "$(dmsetup table hot)" "resume_commit 0" "and the stack's"
is "$(sha256sum </dev/mapper/hot)" "$written" "what was written is there"
check "which is not what it began with" test "$content" != "$written"
before=$(dmsetup info -c --noheadings -o name,major,minor,events)
done_silently "up --all again" up --all
is "$(dmsetup info -c --noheadings -o name,major,minor,events)" "$before" "changes nothing"
dmcommit down hot
done_silently "up --all with one missing" up --all
is "$(devices)" "cold fast hot slow" "brings that one up"
done_silently "one that is noauto, by its name" up spare
like "$(dmsetup table spare)" "read_only_base 1" "its base is read-only, as its line says"
dmcommit down --all
done_silently "the uppermost by its name" up hot
is "$(devices)" "cold fast hot slow" "what it needs is up too"
dmcommit down --all
done_silently "a store by its name" up fast
is "$(devices)" fast "and nothing else"
dmcommit down --all

# --- what is in use stays, with what is below ---
dmcommit up --all
exec 7</dev/mapper/hot
fails 4 1 "down --all with one in use" "hot" down --all
is "$(devices)" "cold fast hot slow" "it stays, with what is below it"
exec 7<&-
dmcommit up spare
exec 7</dev/mapper/cold
dmcommit down hot
fails 4 1 "down --all with a lower one in use" "cold" down --all
is "$(devices)" "cold slow" "the others go"
exec 7<&-
done_silently "down --all" down --all

# --- one that fails does not keep others back ---
dmcommit format /dev/ssd --force --name strange
fails 4 2 "up --all with another store on a device" "holds store strange, not fast.*hot is not brought up" up --all
is "$(devices)" "cold slow" "what does not need it comes up"
dmcommit down --all
cat >$file <<'END'
store	slow	/dev/disk
store	gone	/dev/gone	nofail
stack	lost	gone	/dev/other	nofail
stack	cold	slow	/dev/master
END
fails 0 2 "up --all with nofail" "/dev/gone.*lost is not brought up, as it needs gone .*conf:2" up --all
is "$(devices)" "cold slow" "the others come up"
sed -i 's/nofail//' $file
fails 3 2 "the same without" "/dev/gone" up --all
sed -i 's,^stack.*cold.*,stack cold slow /dev/other,' $file
fails 4 1 "a stack that is up over another base" "cold is up on /dev/master, not on /dev/other" up cold
dmcommit down --all
echo "store slow /dev/disk
bogus line
stack cold slow /dev/master" >$file
fails 1 1 "a line that is wrong" "stacks.conf:2: \"bogus\"" up --all
is "$(devices)" "cold slow" "the others stand"
fails 1 1 "down --all says so too" "stacks.conf:2" down --all
is "$(devices)" "" "and takes down"

# --- whose file it is ---
echo "store slow /dev/disk" >$file
chmod 666 $file
fails 4 1 "a file that others may write" "may be written by others" up --all
chmod 644 $file
chmod 777 /etc/dmcommit
fails 4 1 "a directory that others may write" "/etc/dmcommit may be written" up --all
chmod 755 /etc/dmcommit
chown 7 $file
fails 4 1 "a file that is not root's" "is not root's" up --all
is "$(devices)" "" "nothing was brought up"
mv $file /tmp/elsewhere
chown 0 /tmp/elsewhere
fails 3 1 "no file" "stacks.conf" up --all
chmod 755 /tmp
done_silently "another file" up --all --config /tmp/elsewhere
is "$(devices)" slow "is taken as well"
done_silently "down with it" down --all --config /tmp/elsewhere
fails 3 1 "one by its name" "no volume slow stands in $file, and no --base" up slow
fails 2 1 "up --all with a name" "one too many" up slow --all
fails 2 1 "up with nothing" "something is missing" up
fails 2 1 "up --all with a base" "no other option" up --all --base /dev/other
fails 2 1 "down with nothing" "something is missing" down
done_testing
