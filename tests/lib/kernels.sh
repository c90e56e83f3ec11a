# SPDX-License-Identifier: GPL-2.0
# Kernels that have a name, beside that of the machine's own Debian, which has none.
# Sourced by bash, never run; $tree is the top of the sources.

# Of these the newest that Debian 13 or its backports have: tests/fetch-other-kernels
other_kernels=(6.12 7)
# That of tests/build-debug-kernel, and those
named_kernels=(debug "${other_kernels[@]}")

is_among()
{
	local name=$1 other
	shift

	for other in "$@"; do
		[ "$other" != "$name" ] || return 0
	done
	return 1
}

# named_kernel_release NAME: of the one that the cache has; fails where it has none
named_kernel_release()
{
	if [ "$1" = debug ]; then
		"$tree/tests/build-debug-kernel" --release
	else
		"$tree/tests/fetch-other-kernels" --release "$1"
	fi
}

# named_kernel_module NAME: where the module for it is built
named_kernel_module()
{
	if [ "$1" = debug ]; then
		echo "$tree/build/debug/dm-cowstack.ko"
	else
		echo "$tree/build/kernel-$1/dm-cowstack.ko"
	fi
}

# named_kernel_target NAME: what makes kernel and module
named_kernel_target()
{
	if [ "$1" = debug ]; then
		echo "make debug-module"
	else
		echo "make kernel-modules"
	fi
}
