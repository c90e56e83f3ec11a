#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: tests/long/85-packages.sh [SUITE…]
#
# Debian's packages of this tree, as of its last commit, for Debian 12 and 13: built in a
# Debian that has nothing but what debian/control asks for; installed in another one, where
# DKMS has to build the module for that Debian's kernel and, when its headers come, for the
# one of its backports; removed again, with nothing left. Needs root, as chroots do.
# COWSTACK_LONG_PERCENT: below 50, Debian 12 alone.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/lib/common.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

suites=("$@")
[ $# -gt 0 ] || suites=(bookworm trixie)
[ $# -gt 0 ] || [ "${COWSTACK_LONG_PERCENT:-100}" -ge 50 ] || suites=(bookworm)

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
	done
	dmcommit status 2>&1 | grep -v "^$" | head -n 3 || true
	test -e /usr/share/bash-completion/completions/dmcommit
	test -e /usr/share/man/man8/dmcommit.8.gz
	apt-get -qq -y purge dmcommit dm-cowstack-dkms >/dev/null
	! ls -d /lib/modules/*/updates/dkms/dm-cowstack* /usr/src/dm-cowstack* /usr/sbin/dmcommit /etc/dmcommit 2>/dev/null
'

test_suite()
{
	local suite=$1

	rm -rf "$work/shared"
	mkdir -p "$work/shared/source"
	git archive HEAD | tar -x -C "$work/shared/source"
	ok "$suite: packages are built, and lintian finds no error" \
		in_debian "$suite" ca-certificates,build-essential,debhelper,lintian "$build_script"
	ok "$suite: they are installed, built for two kernels, and go without a trace" \
		in_debian "$suite" ca-certificates "$install_script"
	kernels+=$(sed -n 's/^built //p' "$work/output" | paste -s -d , | sed 's/^/,/')
}

command -v mmdebstrap >/dev/null || apt_get_as_root install --yes --no-install-recommends mmdebstrap >&2
kernels=
for suite in "${suites[@]}"; do
	test_suite "$suite"
done
echo "totals: packages_passed=$passed packages_failed=$failed kernels=${kernels#,} seed=none"
[ "$failed" -eq 0 ]
