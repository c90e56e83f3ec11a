#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# In a guest of tests/guest/run: makes the volumes that the machine will find, sys over
# /dev/vda in the store on /dev/vdb, data over /dev/vdd in the store on /dev/vdc.
set -e
modprobe dm-cowstack
dmcommit attach /dev/vdb
dmcommit attach /dev/vdc
dmcommit create sys --base /dev/vda --store sysstore
dmcommit create data --base /dev/vdd --store datastore
dmcommit down data
dmcommit down sys
dmcommit detach datastore
dmcommit detach sysstore
