# SPDX-License-Identifier: GPL-2.0
# What the module says of a golden store's volumes: the same words when one is made and
# when it is tested. Sourced by bash, after devices.sh and store_bytes.sh.

# golden_content DEVICE ID
golden_content()
{
	echo "$2 content $(dd if="$1" bs=1M iflag=direct 2>/dev/null | crc32 | tr -d ' ')"
}

# golden_chain STACK ID: its layers, and its status up to the last job's errno
golden_chain()
{
	dmsetup message "$1" 0 layers | sed "s/^/$2 layer /"
	echo "$2 status $(dmsetup status "$1" | cut -d ' ' -f 4-16)"
}
