# SPDX-License-Identifier: GPL-2.0
# bash completion for dmcommit. What there is to type comes from "dmcommit help --table",
# names of stores, volumes and layers from the kernel, where it may be asked.

# Rows of the table, asked for once.
_dmcommit_table()
{
	[[ -n ${_dmcommit_rows-} ]] ||
		_dmcommit_rows=$("${COMP_WORDS[0]}" help --table 2>/dev/null)
	printf '%s\n' "$_dmcommit_rows"
}

# _dmcommit_names TYPE…: of all stores and volumes
_dmcommit_names()
{
	"${COMP_WORDS[0]}" list --json 2>/dev/null | awk -v types=" $* " '
		/"name":/ { split($0, part, "\""); name = part[4] }
		/"type":/ { split($0, part, "\""); if (index(types, " " part[4] " ")) print name }'
}

# _dmcommit_layers VOL: ids and names
_dmcommit_layers()
{
	"${COMP_WORDS[0]}" layers "$1" --json 2>/dev/null |
		sed -nE 's/^ *"(id|name)": *"?([^",]+)"?,?$/\2/p' | grep -vx null
}

# Of stores for attach, of stacks where a volume is made or brought up, or of both.
_dmcommit_features()
{
	local target='store|stack'

	case $command in
	attach) target=store ;;
	create | up) target=stack ;;
	esac
	compopt -o nospace 2>/dev/null
	_dmcommit_table | awk -F '\t' -v target="$target" '
		$1 == "feature" && $2 ~ "^(" target ")$" { print $3 "=" }'
}

# _dmcommit_feature_values FEATURE: where there are two to choose from
_dmcommit_feature_values()
{
	_dmcommit_table | awk -F '\t' -v name="$1" '
		$1 == "feature" && $3 == name && split($4, word, " or ") == 2 {
			print word[1]; print word[2] }'
}

# _dmcommit_values KIND VOLUME: of an argument, as help calls it
_dmcommit_values()
{
	local kind=${1//[\[\]]/}

	case $kind in
	DEV | FILE) compgen -f -- "$current" ;;
	VOL) _dmcommit_names volume ;;
	STORE) _dmcommit_names store ;;
	'VOL|STORE') _dmcommit_names volume store ;;
	'STORE|DEV')
		_dmcommit_names store
		compgen -f -- "$current"
		;;
	LAYER) _dmcommit_layers "$2" ;;
	'LAYER|none')
		_dmcommit_layers "$2"
		echo none
		;;
	FEATURE=VALUE) _dmcommit_features ;;
	# Words to choose from
	*[a-z]*'|'*) printf '%s\n' "${kind//|/$'\n'}" ;;
	esac
}

# Finds the command, how many arguments were given, and the first of them.
_dmcommit_look_back()
{
	local i word takes_value='' behind_equals=''

	command=
	first=
	count=0
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == = ]]; then
			# Readline cuts FEATURE=VALUE in three.
			behind_equals=yes
		elif [[ -n $behind_equals ]]; then
			behind_equals=
		elif [[ -z $command ]]; then
			command=$word
		elif [[ -n $takes_value ]]; then
			takes_value=
		elif [[ $word == --* ]]; then
			takes_value=$(_dmcommit_value_of "$word")
		else
			[[ $count -gt 0 ]] || first=$word
			count=$((count + 1))
		fi
	done
}

# _dmcommit_value_of OPTION: what its value is called; nothing: it has none
_dmcommit_value_of()
{
	_dmcommit_table | awk -F '\t' -v command="$command" -v name="$1" '
		$1 == "option" && $2 == command && $3 == name && $4 != "-" { print $4 }'
}

_dmcommit_options()
{
	_dmcommit_table |
		awk -F '\t' -v command="$command" '$1 == "option" && $2 == command { print $3 }'
}

_dmcommit_commands()
{
	_dmcommit_table | awk -F '\t' '$1 == "command" { print $2 }'
}

# What may stand where the cursor is, one word a line.
_dmcommit_candidates()
{
	local previous=${COMP_WORDS[COMP_CWORD - 1]} value arguments

	if [[ -z $command ]]; then
		_dmcommit_commands
		printf '%s\n' help --help --version
		return
	fi
	if [[ $command == help ]]; then
		_dmcommit_commands
		return
	fi
	if [[ $previous == = ]]; then
		_dmcommit_feature_values "${COMP_WORDS[COMP_CWORD - 2]}"
		return
	fi
	if [[ $current == = ]]; then
		_dmcommit_feature_values "$previous"
		return
	fi
	value=$(_dmcommit_value_of "$previous")
	if [[ -n $value ]]; then
		_dmcommit_values "$value" "$first"
	elif [[ $current == -* ]]; then
		_dmcommit_options
	else
		read -r -a arguments <<<"$(_dmcommit_table |
			awk -F '\t' -v name="$command" '$1 == "command" && $2 == name { print $4 }')"
		[[ $count -ge ${#arguments[@]} ]] ||
			_dmcommit_values "${arguments[count]}" "$first"
	fi
}

_dmcommit()
{
	local current=${COMP_WORDS[COMP_CWORD]} command first count word

	COMPREPLY=()
	_dmcommit_look_back
	# Not by compgen -W, which would expand what a file's name may hold.
	while IFS= read -r word; do
		[[ $current != = && $word != "$current"* ]] || COMPREPLY+=("$word")
	done < <(_dmcommit_candidates)
}

complete -o filenames -F _dmcommit dmcommit
