#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bash and zsh complete what there is: commands, options, values, names. The kernel's
# answers are a stand-in's here; what can be typed is the tool's own table.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh
tree=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/dmcommit" <<-END
	#!/bin/bash
	case \$1 in
	help) exec "$tree/userspace/dmcommit" "\$@" ;;
	list) cat "$work/list" ;;
	layers) [ "\$2" = vm ] && cat "$work/layers" ;;
	esac
END
chmod +x "$work/dmcommit"
cat >"$work/list" <<-'END'
	{
	   "stores": [
	      {
	         "name": "ssd",
	         "type": "store",
	         "children": [
	            {
	               "name": "vm",
	               "type": "volume"
	            },{
	               "name": "other",
	               "type": "volume"
	            }
	         ]
	      }
	   ]
	}
END
cat >"$work/layers" <<-'END'
	{
	   "layers": [
	      {
	         "id": 7,
	         "name": null
	      },{
	         "id": 4,
	         "name": "monday"
	      }
	   ]
	}
END
PATH=$work:$PATH
mkdir "$work/files"
cd "$work/files" || exit 1
touch 'image' 'in $(touch pwned) out'

# shellcheck disable=SC1091
. "$tree/userspace/completion/dmcommit.bash"

# in_bash WORD…: what bash offers for the last of them, sorted
in_bash()
{
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_dmcommit
	printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd' '
}

table()
{
	"$tree/userspace/dmcommit" help --table
}

test_bash()
{
	local command wrong=''

	check "dmcommit is completed by it" complete -p dmcommit
	is "$(in_bash dmcommit '')" "$( { table | sed -n 's/^command\t\([^\t]*\).*/\1/p'
		printf '%s\n' help --help --version; } | LC_ALL=C sort | paste -sd' ')" \
		"every command, and nothing else"
	while read -r command; do
		[ "$(in_bash dmcommit "$command" --)" = "$(table |
			sed -n "s/^option\t$command\t\([^\t]*\).*/\1/p" | LC_ALL=C sort | paste -sd' ')" ] ||
			wrong+=" $command"
	done < <(table | sed -n 's/^command\t\([^\t]*\).*/\1/p')
	is "$wrong" "" "every option of every command"
	is "$(in_bash dmcommit st)" "start status stream" "what it begins with"
	is "$(in_bash dmcommit help ma)" "map" "a command to help"
	is "$(in_bash dmcommit down '')" "other vm" "volumes"
	is "$(in_bash dmcommit detach '')" "ssd" "stores"
	is "$(in_bash dmcommit status '')" "other ssd vm" "both"
	is "$(in_bash dmcommit pin vm '')" "4 7 monday" "layers of the volume"
	is "$(in_bash dmcommit pin nothing '')" "" "none of one that is not there"
	is "$(in_bash dmcommit pin vm 4 '')" "" "nothing where all arguments are there"
	is "$(in_bash dmcommit start vm --top m)" "monday" "an option's layer"
	is "$(in_bash dmcommit stream vm --base n)" "none" "a word or a layer"
	is "$(in_bash dmcommit start vm --on-error '')" "ignore report stop" "words"
	is "$(in_bash dmcommit start --speed 5M '')" "other vm" "an argument behind an option's value"
	is "$(in_bash dmcommit attach x --set o)" "on_full=" "a store's feature"
	is "$(in_bash dmcommit up vm --set read)" "read_only_base=" "a stack's feature"
	is "$(in_bash dmcommit set vm on_full =)" "error queue" "its values"
	is "$(in_bash dmcommit set vm on_full = q)" "queue" "one of them"
	is "$(in_bash dmcommit up --set on_full = queue '')" "other vm" "an argument behind it"
	is "$(in_bash dmcommit format im)" "image" "files"
	is "$(in_bash dmcommit format in)" 'in $(touch pwned) out' "files of any name"
	check "which are not run" test ! -e pwned
	is "$(in_bash dmcommit create x --base /dev/nul)" "/dev/null" "devices"
}

# in_zsh LINE: what zsh, on a terminal of its own, offers when TAB is hit; sorted. What
# it adds it shows in brackets. What is typed when the first is there is read when all are;
# as it is typed it does not hold what it prints.
in_zsh()
{
	# shellcheck disable=SC2016
	timeout 300 zsh -f -c '
		zmodload zsh/zpty
		zpty shell zsh -f -i
		zpty -w shell "PROMPT= ; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d $2"
		zpty -w shell "compadd() { local -a found; builtin compadd -O found \"\$@\"; print -l -- \"<\"\${^found}\">\"; builtin compadd \"\$@\"; }"
		zpty -n -w shell "$3"$'"'\\t'"'
		zpty -r -m shell text "*<[a-z0-9-]*>*"
		zpty -n -w shell $'"'\\C-u'"'"print -r -- END-\"\"OF-IT"$'"'\\n'"'
		zpty -r -m shell more "*END-OF-IT*"
		print -r -- "$text$more"
		zpty -d shell' zsh "$tree/userspace/completion" "$work/dump" "$1" 2>/dev/null |
		grep -oE '<[^<>"]+>' | tr -d '<>' | LC_ALL=C sort -u | paste -sd' '
}

test_zsh()
{
	check "zsh reads it" zsh -n "$tree/userspace/completion/_dmcommit"
	is "$(in_zsh 'dmcommit st')" "start status stream" "zsh: commands"
	is "$(in_zsh 'dmcommit start --v')" "--verify --version" "zsh: options"
	is "$(in_zsh 'dmcommit down ')" "other vm" "zsh: volumes"
	is "$(in_zsh 'dmcommit pin vm ')" "4 7 monday" "zsh: layers of the volume"
	is "$(in_zsh 'dmcommit set vm read')" "read_only_base=" "zsh: features"
	is "$(in_zsh 'dmcommit start vm --on-error ')" "ignore report stop" "zsh: words"
}

test_bash
test_zsh
done_testing
