# SPDX-License-Identifier: GPL-2.0
# Packages of another Debian than the machine's. Sourced by bash, never run.
#
# The machine's own lists of packages are none of our business: this one has all of its
# state in a directory.

# other_apt COMMAND ARG…: apt-get or apt-cache, after open_other_debian
other_apt()
{
	local command=$1
	shift

	"$command" -q -o Dir::State="$other_state/state" -o Dir::Cache="$other_state/cache" \
		-o Dir::State::status="$other_state/status" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::sourcelist="$other_state/sources.list" \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o APT::Sandbox::User=root -o APT::Architectures=amd64 \
		-o Acquire::Languages=none -o Acquire::Retries=5 "$@"
}

# open_other_debian DIRECTORY SUITE…: the archive's suites, looked at from DIRECTORY
open_other_debian()
{
	local suite archive

	other_state=$1
	shift
	mkdir -p "$other_state"/state/lists/partial "$other_state"/cache/archives/partial
	: >"$other_state/status"
	for suite in "$@"; do
		archive=debian
		[[ $suite != *-security ]] || archive=debian-security
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
			"http://deb.debian.org/$archive $suite main"
	done >"$other_state/sources.list"
	# One list that does not come would be a warning only.
	try_again other_apt apt-get -qq -o APT::Update::Error-Mode=any update >&2
}
