#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What make install-system puts where, and whether systemd understands it: the units as they
# are, and those that the generator makes of a list. Whether a machine boots with them is
# looked at by tests/long/80-system.sh.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh

root=$(mktemp -d "${TMPDIR:-/tmp}/cowstack-files.XXXXXX")
trap 'rm -rf "$root"' EXIT
units=$root/usr/lib/systemd/system

installed()
{
	(cd "$root" && find . -type f -o -type l) | sed 's,^\.,,' | sort
}

# A root of its own, with those of systemd's units that ours name.
check "make install-system" make -s install-system DESTDIR="$root" prefix=/usr
is "$(installed)" "$(make -s -C userspace/system list | sort)" "installs just what its list names"
is "$(find "$root" ! -type l -perm /022)" "" "and nothing that others may write"
make -s install-system DESTDIR="$root/other"
is "$(cd "$root/other" && grep -rhoE '/[a-z/]*sbin/dmcommit' . | sort -u) $(readlink \
	"$root/other/usr/lib/systemd/system-generators/dmcommit-generator")" \
	"/usr/local/sbin/dmcommit /usr/local/sbin/dmcommit" \
	"all find the tool where make install has put it, when nothing is said"
rm -r "$root/other"
install -D userspace/dmcommit "$root/usr/sbin/dmcommit"
cp /usr/lib/systemd/system/{*.target,systemd-modules-load.service} "$units"
mkdir -p "$root/usr/bin" "$root/etc/systemd/system"
printf '#!/bin/sh\n' | tee "$root/usr/bin/udevadm" >"$root/usr/lib/systemd/systemd-modules-load"
chmod 755 "$root/usr/bin/udevadm" "$root/usr/lib/systemd/systemd-modules-load"

# understood TEXT UNIT: systemd has nothing to say of it
understood()
{
	local said status=0

	said=$(systemd-analyze verify --man=no --root="$root" "$2" 2>&1) || status=$?
	is "$status:$said" "0:" "$1"
}

for unit in dmcommit.target dmcommit-monitor.service dmcommit-store@ssd.service \
	dmcommit-stack@vm.service dmcommit-commit@vm.service dmcommit-commit@vm.timer; do
	understood "$unit" "$unit"
done

# --- what the generator makes ---
generator=$root/dmcommit-generator
ln -s "$PWD/userspace/dmcommit" "$generator"
mkdir -m 755 "$root/list" "$root/made"
cat >"$root/list/stacks.conf" <<'END'
stack	hot-1	ssd+1	/dev/mapper/cold.1	x-systemd.device-timeout=5min
stack	cold.1	hdd	/dev/disk/by-id/$HOME%h
store	hdd	/var/lib/a"store	nofail
store	ssd+1	/dev/ssd	x-systemd.device-timeout=5min
stack	sys	ssd+1	/dev/root	initramfs
stack	late	ssd+1	/dev/late	noauto
END
if [ "$(id -u)" -eq 0 ]; then
	check "the generator takes a list" "$generator" "$root/made" x x "$root/list/stacks.conf"
else
	not_ok "the generator takes a list: run this as root, whose list it has to be"
fi
links=$(cd "$root/made" && find . -type l | sed 's,^\./,,' | sort)
is "$links" 'dev-mapper-cold.1.device.requires/dmcommit-stack@cold.1.service
dev-mapper-hot\x2d1.device.requires/dmcommit-stack@hot\x2d1.service
dev-mapper-late.device.requires/dmcommit-stack@late.service
dev-mapper-sys.device.requires/dmcommit-stack@sys.service
dmcommit.target.requires/dmcommit-stack@cold.1.service
dmcommit.target.requires/dmcommit-stack@hot\x2d1.service
dmcommit.target.requires/dmcommit-stack@sys.service
dmcommit.target.requires/dmcommit-store@ssd\x2b1.service
dmcommit.target.wants/dmcommit-store@hdd.service
sysinit.target.wants/dmcommit.target' "who wants whom"

# has TEXT UNIT LINE…
has()
{
	local line missing=

	for line in "${@:3}"; do
		grep -qxF "$line" "$root/made/$2.d/50-stacks.conf" || missing+="[$line]"
	done
	is "$missing" "" "$1"
}

has "an upper stack is behind its store and what it lies on" 'dmcommit-stack@hot\x2d1.service' \
	'After=dmcommit-store@ssd\x2b1.service' 'Requires=dmcommit-stack@cold.1.service' \
	'After=dmcommit-stack@cold.1.service' 'Before=dmcommit.target' 'Conflicts=umount.target'
has "a device is waited for by its name, whatever is in it" dmcommit-stack@cold.1.service \
	'ExecStartPre=/usr/bin/udevadm wait --timeout=90 "/dev/disk/by-id/$$HOME%%h"'
has "as long as its line says" 'dmcommit-store@ssd\x2b1.service' \
	'ExecStartPre=/usr/bin/udevadm wait --timeout=5min "/dev/ssd"'
has "a file by its mount" dmcommit-store@hdd.service 'RequiresMountsFor="/var/lib/a\"store"'
is "$(grep -c 'Before=dmcommit.target' "$root/made/dmcommit-store@hdd.service.d/50-stacks.conf")" 0 \
	"for what is nofail nobody waits"
is "$(grep -l 'Conflicts=umount.target' "$root"/made/*/50-stacks.conf | grep -c -e sys -e 'ssd.x2b1')" 0 \
	"what the initramfs has brought up stays in a shutdown"
cp -r "$root"/made/*.d "$root/etc/systemd/system"
for unit in 'dmcommit-stack@hot\x2d1.service' 'dmcommit-stack@cold.1.service' \
	'dmcommit-store@hdd.service' 'dmcommit-store@ssd\x2b1.service'; do
	understood "$unit, as made" "$unit"
done
check "without a list it makes nothing" "$generator" "$root/made" x x "$root/list/none"

# --- scripts ---
for script in userspace/system/udev/cowstack_role userspace/system/initramfs/*; do
	check "${script##*/} is a script for any shell" busybox sh -n "$script"
	check "${script##*/} may be run" test -x "$script"
done
rm -r "$units"/{*.target,systemd-modules-load.service} "$root/usr/sbin" "$root/usr/bin"
check "make uninstall-system" make -s uninstall-system DESTDIR="$root"
is "$(find "$root/usr" -type f -name '*dmcommit*' -o -name '*cowstack*')" "" "leaves nothing"
done_testing
