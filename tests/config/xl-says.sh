#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# xl-says.sh KERNEL-PV KERNEL-PVH: on a Xen host, writes what stock xl makes of each .cfg here
# (README.md). The kernels are put at /root/kernel, which the files name; so are empty disks.

set -u
for disk in disk disk2 disk3 disk4 disk5; do
    dd if=/dev/zero of=/root/$disk bs=1M count=1 status=none
done
echo none | gzip >/root/initrd
losetup /dev/loop6 /root/disk5
losetup /dev/loop7 /root/disk4

for file in *.cfg; do
    name=${file%.cfg}
    if grep -q 'type = .pvh' "$file"; then ln -sf "$2" /root/kernel; else ln -sf "$1" /root/kernel; fi
    xl -N create "$file" >"$name.json" 2>"$name.said"
    if xl create -p "$file" >"$name.said" 2>&1; then
        domid=$(xl domid "$name")
        tr -d '\0' <"$(echo /var/lib/xen/userdata-d."$domid".*.libxl-json)" >"$name.stored.json"
        { echo "{"; xl list -l "$domid" | sed -n '/^        "config": {/,/^        }/p' | sed '1d; s/^        //'; } \
            >"$name.listed.json"
        xl destroy "$domid"
    else
        echo "$file: not created:" && tail -n 3 "$name.said"
    fi
done
