#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make install puts there what belongs there and uninstall takes it away again; the man
# pages say all that the tool's table says; what makes and checks them can fail.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
man=$root/usr/share/man

make_it()
{
	make --silent --no-print-directory "$1" DESTDIR="$root" prefix=/usr >"$work/log" 2>&1 ||
		{ diag "$(cat "$work/log")"; return 1; }
}

table()
{
	userspace/dmcommit help --table
}

test_install()
{
	local page missing=''

	check "make install" make_it install
	is "$("$root/usr/sbin/dmcommit" --version)" "$(userspace/dmcommit --version)" "the tool"
	for page in 4/dm-cowstack.4 5/dmcommit-store.5 5/stacks.conf.5 8/dmcommit.8 \
		$(table | sed -n 's/^group\t\([^\t]*\)\t.*/8\/dmcommit-\1.8/p'); do
		[ -s "$man/man$page" ] || missing+=" $page"
	done
	is "$missing" "" "the man pages: the tool, each group of commands, targets, format, stacks.conf"
	check "bash finds its completion" cmp userspace/completion/dmcommit.bash \
		"$root/usr/share/bash-completion/completions/dmcommit"
	check "so does zsh" cmp userspace/completion/_dmcommit \
		"$root/usr/share/zsh/vendor-completions/_dmcommit"
	is "$(find "$root" -type f ! -perm -444)" "" "all may be read by everybody"
}

page_of()
{
	man --encoding=ascii --local-file "$man/man8/dmcommit-$1.8" 2>&1 | col -b | tr -s ' \n' ' '
}

# Each command, its arguments and its options stand in its group's page.
test_pages()
{
	local group command synopsis option value page wrong=''

	while IFS=$'\t' read -r group _; do
		page=$(page_of "$group")
		while IFS=$'\t' read -r command synopsis; do
			synopsis=${synopsis//\[OPTION\].../[OPTION ...]}
			[[ $page == *"dmcommit $synopsis"* ]] || wrong+=" $synopsis"
			while IFS=$'\t' read -r option value; do
				[[ $page == *" $option${value:+ $value}"* ]] || wrong+=" $command:$option"
			done < <(table | awk -F '\t' -v c="$command" '
				$1 == "option" && $2 == c && $3 !~ /^--(help|version)$/ {
					print $3 "\t" ($4 == "-" ? "" : $4) }')
		done < <(table | awk -F '\t' -v g="$group" '$1 == "command" && $3 == g { print $2 "\t" $5 }')
	done < <(table | sed -n 's/^group\t//p')
	is "$wrong" "" "the pages have each synopsis and each option"
}

# What the module takes stands in its own page: features that are built, and messages.
test_module_page()
{
	local page name missing=''

	page=$(man --encoding=ascii --local-file "$man/man4/dm-cowstack.4" 2>&1 | col -b)
	while IFS=$'\t' read -r _ _ name _; do
		grep -q "^\`\`$name\`\`.*not built yet" Documentation/dm-cowstack.rst ||
			grep -qw -e "$name" <<<"$page" || missing+=" $name"
	done < <(table | grep '^feature')
	for name in $(sed -n '/verbs\[\] = {/,/^};/s/^\t{ "\([a-z_]*\)", .*/\1/p' \
		kernel/core/message_words.c); do
		grep -qw -e "$name" <<<"$page" || missing+=" $name"
	done
	is "$missing" "" "dm-cowstack(4) has each feature and each message"
}

test_unit_page()
{
	local page name missing=''

	page=$(man --encoding=ascii --local-file "$man/man5/stacks.conf.5" 2>&1 | col -b)
	for name in $(cd userspace/system/systemd && echo *) $(sed -n \
		's/^Environment=//p' userspace/system/systemd/* | tr ' ' '\n' | sed 's/=.*//'); do
		grep -qwF -e "${name/@/@NAME}" <<<"$page" || missing+=" $name"
	done
	is "$missing" "" "stacks.conf(5) has each unit and each variable of theirs"
}

# What monitor tells the program that it runs.
test_monitor_page()
{
	local page name missing=''

	page=$(page_of status)
	for name in $(grep -o 'DMCOMMIT_[A-Z]*' userspace/hook.c | sort -u); do
		grep -qw -e "$name" <<<"$page" || missing+=" $name"
	done
	is "$missing" "" "dmcommit-status(8) has each variable of the program that monitor runs"
}

expand()
{
	table | userspace/man/expand "$1"
}

test_failures()
{
	printf '@command frobnicate\n' >"$work/page"
	check_fails "a page about no command is none" expand "$work/page"
	printf '@command up\n@rest store\n' >"$work/page"
	check_fails "nor is one about another group's" expand "$work/page"
	printf '@frobnicate\n' >"$work/page"
	check_fails "nor one with a line that means nothing" expand "$work/page"
	printf 'text\n' >"$work/page"
	check_fails "nor one without a table" userspace/man/expand "$work/page" </dev/null
	sed 's/^\.Sh SEE ALSO/.Sh SEE ALL/; s/^\.El/.Eel/' "$man/man8/dmcommit.8" >"$work/broken.8"
	check_fails "mandoc notices what is wrong" mandoc -Tlint "$work/broken.8"
}

files_below()
{
	(cd "$1" && find . -type f | sort)
}

# With the prefix that is meant when nothing is said.
test_prefix()
{
	check "make install" make --silent --no-print-directory install DESTDIR="$work/other"
	is "$(files_below "$work/other")" "$(files_below "$root/usr" | sed 's,^\.,./usr/local,')" \
		"brings the same below /usr/local"
}

test_uninstall()
{
	touch "$root/usr/sbin/other"
	check "make uninstall" make_it uninstall
	is "$(find "$root" -type f)" "$root/usr/sbin/other" "takes away what install has brought"
	is "$(find "$root" -path '*dm-cowstack*')" "" "with its own directories"
	mkdir "$work/tree"
	cp -r userspace/{Makefile,man,completion,schema} "$work/tree"
	check "make uninstall where nothing was built" \
		make --silent -C "$work/tree" uninstall DESTDIR="$work/other"
	is "$(find "$work/other" -type f)" "" "takes it away as well"
}

test_install
test_pages
test_module_page
test_unit_page
test_monitor_page
test_failures
test_prefix
test_uninstall
done_testing
