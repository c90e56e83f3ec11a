#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What KFENCE finds on kernels 6.12 and 7 has to end a guest with 125, however well the
# script in it ended. A module that looks at what it has freed, for a while, is the
# proof.
set -u

cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tests/guest/lib/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/script" <<'END'
#!/bin/bash
insmod "$(command -v planted.ko)" fault=looked_at 2>/dev/null
exit 0
END
for kernel in $(tests/fetch-other-kernels --list); do
	cp -r tests/host/planted "$work/$kernel"
	check "$kernel: a module with faults is built" \
		tests/make-for-kernel "$kernel" "$work/$kernel" --silent modules
	status=0
	tests/guest/run --kernel "$kernel" --cpus 1 --timeout 1800 \
		--add "$work/$kernel/planted.ko" "$work/script" >"$work/output" 2>&1 || status=$?
	like "$status $(tail -n 1 "$work/output")" \
		'^125 .*the kernel reported: .*BUG: KFENCE: use-after-free read in look_after_free' \
		"$kernel: a use after free is found, and fails a guest whose script ended well"
done
done_testing
