#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A session of the four tools on two small images, made on the spot:  sh tests/demo.sh build/wherry
# Each command is shown before it runs; one that does not end as it should ends the demo with 1.
set -u

wherry=$(realpath "${1:-build/wherry}")
tests=$(realpath "$(dirname "$0")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
cd "$folder" || exit 1

fail()
{
    echo "demo: $1" >&2
    exit 1
}

# run STATUS COMMAND LINE: show it, run it, compare its exit status.
run()
{
    expected=$1
    shift
    echo
    echo "\$ $*"
    (wherry() { "$wherry" "$@"; }; eval "$*") >said 2>&1
    status=$?
    cat said
    [ $status -eq "$expected" ] || fail "exit status $status instead of $expected"
}

# It said so.
saw()
{
    grep -q -- "$1" said || fail "it did not say: $1"
}

build()
{
    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$tests/wire/stream.py" build "$1" "$2" ||
        fail "could not build $2"
}

cat >live.stream <<EOF
xl config={"c_info": {"name": "web"}, "b_info": {"max_memkb": 1024, "type.pv": {}}}
libxl
LIBXC_CONTEXT
libxc
domain type=pv xen=4.17
X86_PV_INFO width=8 levels=4
STATIC_DATA_END
X86_PV_P2M_FRAMES start=0 end=255 pfns=1
PAGE_DATA 0=fill:1 1=text:hello 2-40=random:1 41-99=zero 100-103:l1pin 104:l4pin 200-249:xtab 250=fill:1
PAGE_DATA 1=text:hello_again 41-50=random:2
X86_TSC_INFO
SHARED_INFO
X86_PV_VCPU_BASIC vcpu=0 zero:648 le64:0xffffffff81001234 zero:4512
END
END
EOF
cat >old.stream <<EOF
xl flags=1 config={"c_info": {"name": "elder"}, "b_info": {"type.hvm": {}}}
legacy width=64 guest=hvm p2m_size=256
vcpu-info max_id=0 online=0
batch 0-40=random:1 41-99=zero 100-120:xtab
end-of-body
magic-pfns ioreq=1 bufioreq=2 store=3
hvm-context 1 2 0
qemu text:QEVM be32:3 ramp:100
EOF
build live.stream web.save
build old.stream old.save

echo "What is in an image, and where the guest's memory is:"
run 0 wherry inspect --pages web.save
saw "web: x86 PV, 64-bit, 1 vcpu, 1 MiB"
saw "  T"
run 0 wherry inspect --page 1 web.save
saw "contents at offset"

echo
echo "Whether it is whole, and what is wrong if it is not:"
run 0 wherry verify web.save old.save
run 1 'head -c 100000 web.save | wherry verify -'
saw "truncated: expected"

echo
echo "A trailer finds damage inside of pages, too:"
run 0 wherry convert web.save sealed.save
run 0 wherry verify --digest sealed.save
run 0 'printf x | dd of=sealed.save bs=1 seek=70000 conv=notrunc status=none'
run 1 wherry verify --digest sealed.save
saw "digest: expected"

echo
echo "A save file of Xen before 4.6 for the Xen of today:"
run 0 'wherry inspect old.save | head -4'
saw "by Xen before 4.6"
run 0 wherry convert old.save new.save
run 0 'wherry inspect --digest new.save | head -7'
saw "digest good"

echo
echo "What is in it, taken out:"
run 0 wherry extract --config web.save
saw '"web"'
echo
run 0 'wherry extract --page 1 web.save | head -c 11'
saw hello_again
echo
run 0 wherry extract --core web.core web.save
run 0 readelf -lW web.core
saw "LOAD .* 0x00000000000fa000 "
run 0 wherry extract --emulator qemu.state new.save
run 0 'ls -s --block-size=K web.core new.save qemu.state'

[ -z "$(find . -name '.*.??????')" ] || fail "an unfinished file was left"
