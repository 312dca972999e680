#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# mmdebstrap's last hook: makes of the tree in $1 what QEMU boots, in the folder $OUT.  It runs as
# root, or as the root of a user namespace.
set -eu
tree=${1:?the tree}
# Never the machine it runs on.
[ "$(realpath "$tree")" != / ] && [ -x "$tree/bin/busybox" ] && [ -d "$OUT" ] || exit 1

cp -r "$LAB/root/." "$tree/"
chmod 755 "$tree/usr/sbin/lab-init" "$tree/usr/local/sbin/lab-name"
mkdir -p "$tree/images" "$tree/root/.ssh"
sed -i '/^root:/s,:[^:]*$,:/bin/dash,' "$tree/etc/passwd"
# Qemu run with dm_restrict=1 takes a uid from here on.
grep -q xen-qemuuser-range-base "$tree/etc/passwd" ||
    echo 'xen-qemuuser-range-base:x:131072:65534::/nonexistent:/bin/false' >>"$tree/etc/passwd"
printf '127.0.0.1 localhost\n10.99.0.1 a\n10.99.0.2 b\n10.99.0.3 c\n10.99.0.4 d\n' \
    >"$tree/etc/hosts"
: >"$tree/etc/fstab"

# One throwaway key: from here to the hosts, and between them.
cp "$OUT/key" "$tree/root/.ssh/id_ed25519"
cp "$OUT/key.pub" "$tree/root/.ssh/authorized_keys"
# The key exchange is the one that an emulated processor does fastest: half the time of a connection.
printf 'Host *\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n KexAlgorithms curve25519-sha256\n' \
    >"$tree/root/.ssh/config"
chmod -R go= "$tree/root/.ssh"
chown -R 0:0 "$tree/root/.ssh" "$tree/usr/sbin/lab-init" "$tree/etc/ssh" "$tree/usr/local/sbin"

# What boots: Xen, Linux, and an initrd that finds the disk.
kernel=$(basename "$tree"/boot/vmlinuz-*)
version=${kernel#vmlinuz-}
zcat "$tree"/boot/xen-*.gz >"$OUT/xen"
cp "$tree/boot/$kernel" "$OUT/vmlinuz"
initrd=$OUT/initrd.tree
mkdir -p "$initrd/bin" "$initrd/dev" "$initrd/proc" "$initrd/root" "$initrd/modules"
cp "$tree/bin/busybox" "$initrd/bin/"
number=100
chroot "$tree" modprobe -S "$version" -a --show-depends \
    virtio_pci virtio_blk crc32c_generic ext4 | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
while read -r module; do
    cp "$tree$module" "$initrd/modules/$number.ko"
    number=$((number + 1))
done
cat >"$initrd/init" <<'EOF'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod $module; done
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/lab-init
EOF
chmod 755 "$initrd/init"
(cd "$initrd" && find . | cpio --quiet -o -H newc -R 0:0 >"$OUT/initrd")
rm -rf "$initrd"

# The disk: without a journal, as no host outlives its overlay.  mmdebstrap's mounts stay out of it.
rm -rf "$tree"/var/cache/apt/*.bin "$tree"/var/cache/apt/archives/*.deb \
    "$tree"/var/lib/apt/lists/* "$tree"/var/log/* "$tree"/boot/*
truncate -s 8G "$OUT/disk"
fill='mke2fs -q -F -t ext4 -O ^has_journal -E lazy_itable_init=1,nodiscard -d "$0" "$1"'
if mountpoint -q "$tree/proc"; then
    unshare --mount --propagation private \
        sh -ec "mount --bind \"\$0\" \"\$0\"; $fill" "$tree" "$OUT/disk"
else
    sh -ec "$fill" "$tree" "$OUT/disk"
fi
chmod 644 "$OUT/disk" "$OUT/xen" "$OUT/vmlinuz" "$OUT/initrd"
