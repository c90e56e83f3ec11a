# SPDX-License-Identifier: GPL-2.0
# JSON without python. Sourced by bash.

# is_json TEXT: is it one JSON value and nothing else?
is_json()
{
	printf '%s' "$1" | awk '
		function blanks() { sub(/^[ \t\r\n]+/, "", rest) }
		function take(pattern) {
			if (!match(rest, "^(" pattern ")"))
				return 0
			rest = substr(rest, RLENGTH + 1)
			blanks()
			return 1
		}
		function string() {
			return take("\"([^\"\\\\[:cntrl:]]|\\\\([\"\\\\/bfnrt]|u[0-9a-f][0-9a-f][0-9a-f][0-9a-f]))*\"")
		}
		function members() {
			do {
				if (!string() || !take(":") || !value())
					return 0
			} while (take(","))
			return 1
		}
		function elements() {
			do {
				if (!value())
					return 0
			} while (take(","))
			return 1
		}
		function value() {
			if (take("[{]"))
				return take("[}]") || (members() && take("[}]"))
			if (take("\\["))
				return take("\\]") || (elements() && take("\\]"))
			return string() || take("true|false|null") ||
				take("-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?")
		}
		{ rest = rest $0 "\n" }
		END {
			blanks()
			exit !(value() && rest == "")
		}'
}

# json_value TEXT KEY: the first value of this key that is no object and no array
json_value()
{
	printf '%s\n' "$1" |
		sed -n "s/^ *\"$2\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" |
		head -n 1
}
