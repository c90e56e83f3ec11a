#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What tests/check-long records, in a tree of its own with parts that do nothing.
set -u

tests=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
. "$tests/guest/lib/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
report=Documentation/check-long.rst

mkdir -p "$work/tests/long" "$work/tests/lib" "$work/Documentation"
cp "$tests/check-long" "$work/tests"
cp "$tests/lib/common.sh" "$work/tests/lib"
cd "$work" || exit 1

cat >tests/long/10-whole.sh <<'END'
#!/bin/bash
echo "totals: cuts=$COWSTACK_LONG_PERCENT seed=7"
END
cat >tests/long/20-split.sh <<'END'
#!/bin/bash
# parts: first second-1 second-10
echo "totals: part=$1"
[ ! -e fails ]
END
chmod +x tests/long/*.sh
printf 'fails\nbuild\n' >.gitignore
echo one >file

commit()
{
	git add . && git -c user.name=x -c user.email=x@x commit --quiet -m "$1"
}

long()
{
	tests/check-long "$@" >output 2>&1
}

# section PART: its lines, in one
section()
{
	awk -v name="$1" '
		{ line[NR] = $0 }
		END {
			for (i = 1; line[i] != name; i++) {
				if (i == NR)
					exit
			}
			for (i += 2; i <= NR && line[i + 1] !~ /^---/; i++) {
				if (line[i] != "")
					printf "%s|", line[i]
			}
		}' "$report"
}

git init --quiet
echo output >>.gitignore
commit first
first=$(git rev-parse --short=12 HEAD)
is "$(tests/check-long --list | tr '\n' ' ')" "10-whole 20-split-first 20-split-second-1 20-split-second-10 " \
	"a script with parts is run part by part"

check "a share of a part passes" env COWSTACK_LONG_PERCENT=20 tests/check-long whole
like "$(section 10-whole)" "^Commit $first, .* 20 percent .*::[|]    cuts: 20[|]    seed: 7[|]\$" \
	"it is recorded, with commit, share and totals"
like "$(cat "$report")" "Of 4 parts 0 have run with full numbers, 1 with a share, 3 not at all." \
	"and that others have not run"
is "$(section 20-split-first)" "Not run yet.|" "these are named"

is "$(tests/check-long --list second | tr '\n' ' ')" "20-split-second-1 20-split-second-10 " \
	"a part of a name is all that have it"
is "$(tests/check-long --list 20-split-second-1)" 20-split-second-1 "a whole name is that part alone"

commit recorded
check "a part by its argument passes" tests/check-long 20-split-second-1
like "$(section 20-split-second-1)" "^Commit .*[|]    part: second-1[|]\$" "it is recorded"
like "$(section 10-whole)" "^Commit $first, .* 20 percent " "and the other's section stays as it is"
long whole
like "$(section 10-whole)" " 100 percent .*[|]    cuts: 100[|]" "a larger share replaces a smaller one"
COWSTACK_LONG_PERCENT=20 long whole
like "$(section 10-whole)" " 100 percent " "a smaller one does not replace it"

commit recorded
long --continue
is "$(grep -c 'has passed' output)" 2 "--continue runs what has not passed: a commit of the report alone is none"
like "$(cat "$report")" "Of 4 parts 4 have run with full numbers, 0 with a share, 0 not at all." \
	"all have run"

commit recorded
cp "$report" before
echo two >file
long
check "what runs in a tree with changes is not recorded" cmp before "$report"
commit changed
touch fails
long split-first
check "nor what fails" cmp before "$report"
rm fails
COWSTACK_LONG_PERCENT=20 long whole
like "$(section 10-whole)" "^Commit $(git rev-parse --short=12 HEAD), .* 20 percent " \
	"of another commit a smaller share is recorded"
done_testing
