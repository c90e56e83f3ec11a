#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/long/85-packages.sh SUITE
# parts: bookworm trixie
#
# Debian's packages of this tree, as of its last commit, for one Debian: built in a
# Debian that has nothing but what debian/control asks for; installed in another one, where
# DKMS has to build the module for that Debian's kernel and, when its headers come, for the
# one of its backports, each signed by the key of that Debian (Documentation/installing.rst);
# a newer version in their place, which must touch no stack that is up, leave the
# administrator's files, and build the module for the next boot; removed again, with nothing
# left. Needs root, as chroots do.
# COWSTACK_LONG_PERCENT knows nothing to scale here.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/lib/common.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

[ $# -eq 1 ] || die "usage: tests/long/85-packages.sh SUITE"
suite=$1

# ok TEXT COMMAND…
ok()
{
	local text=$1
	shift

	if "$@" >"$work/output" 2>&1; then
		passed=$((passed + 1))
		say "$text"
	else
		failed=$((failed + 1))
		tail -n 40 "$work/output" >&2
		say "FAILED: $text"
	fi
}

# sources SUITE: lines of its sources.list, backports too
sources()
{
	local suite archive

	for suite in "$1" "$1-updates" "$1-security" "$1-backports"; do
		archive=debian
		[[ $suite != *-security ]] || archive=debian-security
		echo "deb http://deb.debian.org/$archive $suite main"
	done
}

# in_debian SUITE PACKAGES SCRIPT: SCRIPT, run as root by bash in a new Debian with these
# packages, which sees $work/shared as /shared; nothing of it is kept
in_debian()
{
	local suite=$1

	printf '%s\n' "$3" >"$work/shared/script"
	# shellcheck disable=SC2016 # $1 is the directory, for the hook's shell
	sources "$suite" | mmdebstrap --quiet --variant=minbase --format=null --include="$2" \
		--customize-hook='mkdir "$1/shared"' \
		--customize-hook="mount --bind $work/shared \"\$1/shared\"" \
		--customize-hook='chroot "$1" bash -eu /shared/script; status=$?; umount "$1/shared"; exit $status' \
		"$suite" - -
}

# shellcheck disable=SC2016 # of that Debian's shell
build_script='
	cp -a /shared/source /build
	cd /build
	apt-get -qq -y --no-install-recommends build-dep . >/dev/null
	dpkg-buildpackage --no-sign --build=binary
	mv ../*.deb /shared/
	lintian --fail-on error /shared/*.deb
	# As the next release would be: another version in both places, and nothing else.
	version=$(dpkg-parsechangelog -S Version)
	sed -i "1s/($version)/($version.1)/" debian/changelog
	sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$version.1\"/" dkms.conf
	dpkg-buildpackage --no-sign --build=binary
	mkdir /shared/newer
	mv ../*.deb /shared/newer/
'

# The newest of what APT has, so that no version stands here. The last word is said by a
# line "built RELEASE" for each kernel.
# shellcheck disable=SC2016
install_script='
	built()
	{
		dkms status dm-cowstack | sed -n "s|^dm-cowstack/[^,]*, \([^,]*\), .*: installed.*|built \1|p"
	}
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq -y --no-install-recommends install /shared/*.deb linux-headers-amd64 >/dev/null
	dmcommit --version
	[ "$(built | wc -l)" -eq 1 ]
	apt-get -qq -y --no-install-recommends -t "$(. /etc/os-release; echo "$VERSION_CODENAME")-backports" \
		install linux-headers-amd64 >/dev/null
	[ "$(built | wc -l)" -eq 2 ]
	built
	for module in /lib/modules/*/updates/dkms/dm-cowstack.ko*; do
		modinfo -F vermagic "$module"
		[ -n "$(modinfo -F signer "$module")" ] || { echo "$module is not signed"; exit 1; }
	done
	ls /var/lib/dkms/mok.pub /usr/src/linux-headers-*-amd64/scripts/sign-file
	ls /usr/share/bash-completion/completions/dmcommit /usr/share/zsh/vendor-completions/_dmcommit \
		/usr/share/man/man8/dmcommit.8.gz /usr/share/man/man5/stacks.conf.5.gz \
		/usr/lib/systemd/system/dmcommit.target /usr/lib/udev/rules.d/62-dm-cowstack-base.rules \
		/usr/share/initramfs-tools/hooks/dmcommit /usr/share/doc/dmcommit/guides.rst.gz
	[ "$(readlink -f /usr/lib/systemd/system-generators/dmcommit-generator)" = /usr/sbin/dmcommit ]

	# Whatever could touch a stack that is up, or bring the new version into the next
	# boot: what it is told is noted. With that directory the packages take systemd for
	# the first process.
	mkdir -p /run/systemd/system /etc/dmcommit
	printf "%s\n" "#!/bin/sh" >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
	for name in systemctl modprobe rmmod dmsetup dmcommit udevadm update-initramfs; do
		printf "%s\n" "#!/bin/sh" "echo $name \"\$@\" >>/calls" >/usr/local/sbin/$name
		chmod 755 /usr/local/sbin/$name
	done
	export PATH=/usr/local/sbin:$PATH
	: >/calls
	echo "store ssd /dev/ssd" >/etc/dmcommit/stacks.conf
	echo SPEED=8M >/etc/default/dmcommit
	before=$(dkms status dm-cowstack)
	# By dpkg, as APT gives its scripts a PATH of its own.
	dpkg -i /shared/newer/*.deb >/dev/null
	after=$(dkms status dm-cowstack)
	echo "$after"
	newer=$(dpkg-query -W -f "\${Version}" dm-cowstack-dkms)
	[ "$after" = "$(echo "$before" | sed "s|^dm-cowstack/[^,]*|dm-cowstack/$newer|")" ] || {
		echo "the module is built otherwise: $before"; exit 1; }
	[ "$(cat /etc/dmcommit/stacks.conf /etc/default/dmcommit)" = "store ssd /dev/ssd
SPEED=8M" ] || { echo "files of the administrator have changed"; exit 1; }
	cat /calls
	grep -q "^update-initramfs -u" /calls || { echo "the initramfs keeps the old version"; exit 1; }
	grep -q "^systemctl .*daemon-reload" /calls || { echo "old units stay in memory"; exit 1; }
	! grep -v -e "^update-initramfs -u" -e "^systemctl .*daemon-reload" /calls || {
		echo "a new version does that"; exit 1; }
	: >/calls
	dpkg --purge dmcommit-dbgsym dmcommit dm-cowstack-dkms >/dev/null
	cat /calls
	grep -q "^systemctl .*stop.* dmcommit-monitor.service" /calls || {
		echo "nothing stops the monitor when the tool goes"; exit 1; }
	rm -r /etc/dmcommit /etc/default/dmcommit /usr/local/sbin/dmcommit
	left=$(find / -xdev -path /proc -prune -o \( -name "*dmcommit*" -o -name "*cowstack*" \) -print |
		grep -v -e ^/shared -e ^/var/lib/dpkg/info -e ^/var/log) || true
	[ -z "$left" ] || { echo "left: $left"; exit 1; }
'

command -v mmdebstrap >/dev/null || apt_get_as_root install --yes --no-install-recommends mmdebstrap >&2
mkdir -p "$work/shared/source"
git archive HEAD | tar -x -C "$work/shared/source"
ok "$suite: packages are built, and lintian finds no error" \
	in_debian "$suite" ca-certificates,build-essential,debhelper,lintian "$build_script"
ok "$suite: they are installed, built for two kernels, signed, renewed, and go without a trace" \
	in_debian "$suite" ca-certificates,openssl,initramfs-tools "$install_script"
kernels=$(sed -n 's/^built //p' "$work/output" | paste -s -d ,)
echo "totals: packages_passed=$passed packages_failed=$failed kernels=$kernels seed=none"
[ "$failed" -eq 0 ]
