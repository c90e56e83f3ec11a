#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The promises of tests/guest/run, on which all guest tests rely.
set -u

tests=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
. "$tests/guest/lib/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run=$tests/guest/run

# guest OPTION… -- LINE… [-- ARGUMENT…]: runs a script of these lines; leaves what it
# printed in $output and its status in $status.
guest()
{
	local options=()

	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	echo '#!/bin/bash' >"$work/script"
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		printf '%s\n' "$1" >>"$work/script"
		shift
	done
	[ $# -eq 0 ] || shift
	status=0
	output=$("$run" "${options[@]}" "$work/script" "$@" 2>"$work/errors") || status=$?
}

truncate -s 1M "$work/first" "$work/second"
printf 'from the host' >"$work/start"
dd if="$work/start" of="$work/first" conv=notrunc status=none
printf '#!/bin/sh\necho added\n' >"$work/added"
chmod +x "$work/added"

guest --blank 3 --disk "$work/first" --disk "$work/second" --add "$work/added" -- \
	'head -c 13 /dev/vda; echo' \
	'echo "from the guest" | dd of=/dev/vdb bs=512 conv=sync oflag=direct status=none' \
	'added' \
	'printf "%s|" "$#" "$@"; echo' \
	'echo to stderr >&2' \
	'blockdev --getsize64 /dev/vdc' \
	'[ -f /lib/cowstack-tests/tap.sh ] && cat <(echo substituted)' \
	'dmsetup targets | grep -c -e ^linear -e ^error' \
	'exit 3' \
	-- 'two words' '$HOME "quoted"' "it's"
is "$status" 3 "the script's status is ours"
is "$output" 'from the host
added
3|two words|$HOME "quoted"|it'"'"'s|
to stderr
3145728
substituted
2' "all that the script prints, and nothing else, comes out; disks, programs, arguments go in"
is "$(head -c 14 "$work/second")" "from the guest" "what a guest writes to a disk is in the file"

guest -- 'head -c 5000 /dev/zero | tr "\0" "\n" | cat -n; printf "the end"'
is "$status" 0 "a script that ends well"
is "$(wc -l <<<"$output")/${output##*[[:space:]]}" 5001/end "a long output comes whole"
is "$(tr -dc '\r' <<<"$output" | wc -c)" 0 "line ends are left alone"

# A busy machine may be longer about the boot alone.
for seconds in 12 60 240; do
	guest --timeout $seconds -- 'echo begun; sleep 1000'
	[ -z "$output" ] || break
done
is "$status/$output" 124/begun "a timeout gives 124 and what was printed until then"

guest -- 'echo c >/proc/sysrq-trigger; sleep 100'
is "$status" 125 "a crash gives 125"
like "$(cat "$work/errors")" 'Kernel panic' "the end of the kernel's log is shown then"

guest -- 'echo "<4>WARNING: CPU: 0 PID: 1 at made/up.c:1" >/dev/kmsg'
is "$status" 125 "a warning of the kernel gives 125, though the script ended well"

guest -- 'poweroff -f; sleep 100'
is "$status" 125 "no status gives 125"

# An emulator that at first leaves no more behind than the log of such a death.
mkdir "$work/bin"
cat >"$work/bin/qemu-system-x86_64" <<END
#!/bin/bash
[ -f "$work/death" ] || PATH=$PATH exec qemu-system-x86_64 "\$@"
for word; do
	[[ \$word != file:* ]] || mv "$work/death" "\${word#file:}"
done
END
chmod +x "$work/bin/qemu-system-x86_64"
# death TAINT: of the kernel, in the next boot
death()
{
	printf '[    1.5] %s\n' 'Oops: int3: 0000 [#1] PREEMPT SMP NOPTI' \
		'VFS: Disk quotas dquot_6.6.0' 'VFS: another line of another processor' \
		"CPU: 0 PID: 0 Comm: swapper/0 $1 6.1" 'Kernel panic - not syncing' >"$work/death"
}

death 'Not tainted'
PATH=$work/bin:$PATH guest -- 'echo alive'
is "$status/$output" 0/alive "a kernel that met its own breakpoint before us is booted again"
like "$(cat "$work/errors")" 'boot 1: .* again' "which is said"
death 'Tainted: G           OE'
PATH=$work/bin:$PATH guest -- 'echo alive'
is "$status/$output" 125/ "… but not one that has a module of ours in it"

check_fails "a script that is not there is refused" "$run" "$work/missing"
done_testing
