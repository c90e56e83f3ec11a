# SPDX-License-Identifier: GPL-2.0
# What all the scripts of tests/ share. Sourced by bash, never run.

# A make that a script calls is no part of the make that called the script: flags of that (to
# name directories it enters, as in what is read of its output; somebody's KDIR=) are not for it.
unset MAKEFLAGS MFLAGS MAKELEVEL

# Where everything lies that costs time to make and can be made again.
cache_directory()
{
	echo "${COWSTACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dm-cowstack}"
}

# Progress goes to stderr: stdout belongs to results.
say()
{
	echo "${0##*/}: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

# The release whose headers "make" uses when nothing else is said, and which
# guests therefore boot: the newest Debian kernel with headers installed.
newest_headers_release()
{
	local newest

	newest=$(printf '%s\n' /usr/src/linux-headers-*-amd64 |
		sed -n 's,^/usr/src/linux-headers-\([0-9].*\)$,\1,p' |
		grep -v -e '-cloud-amd64$' -e '-rt-amd64$' |
		sort -V | tail -n 1)
	[ -n "$newest" ] || return 1
	echo "$newest"
}

# The release that a module was built for.
module_release()
{
	/sbin/modinfo -F vermagic "$1" | cut -d ' ' -f 1
}

# fill_once DIRECTORY COMMAND…: COMMAND fills a new directory, given as its last
# argument, which then becomes DIRECTORY in one step: an interrupted run leaves
# nothing that looks complete. Two at the same time: the second one waits.
fill_once()
{
	local directory=$1 lock partial
	shift

	[ ! -d "$directory" ] || return 0
	mkdir -p "${directory%/*}"
	exec {lock}>"$directory.lock"
	flock "$lock"
	if [ ! -d "$directory" ]; then
		rm -rf "$directory".partial.*
		partial=$(mktemp -d "$directory.partial.XXXXXX")
		"$@" "$partial"
		chmod 755 "$partial"
		mv -T "$partial" "$directory"
	fi
	exec {lock}>&-
}

can_be_root()
{
	[ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }
}

apt_get_as_root()
{
	local as_root=()

	[ "$(id -u)" -eq 0 ] || as_root=(sudo)
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
		apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
		-o Acquire::Retries=5 "$@"
}

# try_again COMMAND…: up to five times. Networks and mirrors fail for a moment, and lists
# are locked while somebody else renews them. Nothing in COMMAND may rely on "set -e".
try_again()
{
	local pause

	for pause in 5 10 20 40; do
		! "$@" || return 0
		say "once more in $pause s: $1"
		sleep "$pause"
	done
	"$@"
}

# install_packages PACKAGE…: by lists that are new, as old ones name what the archive has
# no more
install_packages()
{
	apt_get_as_root update
	apt_get_as_root install --yes --no-install-recommends "$@" >/dev/null
}

# download_package DIRECTORY PACKAGE. As root apt wants to download as a user who may
# not enter our directory.
download_package()
{
	(cd "$1" && apt-get -qq -o APT::Sandbox::User=root download "$2" >&2)
}

download_by_new_lists()
{
	! can_be_root || apt_get_as_root update
	download_package "$@"
}

# fetch_package DIRECTORY PACKAGE: by the lists that are there, or else by new ones
fetch_package()
{
	download_package "$@" 2>/dev/null || try_again download_by_new_lists "$@"
}
