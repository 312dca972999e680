#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The main job on real Xen: a guest that ticks and serves a page moves to another host, the link is cut in
# the middle of a second move, and recover settles that; then xl moves it, beside our figures.
#     sh lab/demo.sh           part of `make demo`
# Each command is shown before it runs in the host; one that fails ends the demo with 1.
set -u

here=$(dirname "$0")
guests=$here/../build/lab/guests
WHERRY_LAB=$(mktemp -d)
export WHERRY_LAB
trap '"$here/lab" down >/dev/null 2>&1; rm -rf "$WHERRY_LAB"' EXIT
trap 'exit 1' INT TERM HUP

fail()
{
    echo "demo: $1" >&2
    exit 1
}

quietly()
{
    host=$1; shift
    "$here/lab" run "$host" -- "$*"
}

run()
{
    host=$1; shift
    echo
    printf '%s# %s\n' "$host" "$*"
    "$here/lab" run "$host" -- "$*" || fail "exit status $?"
}

# One that is to fail.
try()
{
    host=$1; shift
    echo
    printf '%s# %s\n' "$host" "$*"
    "$here/lab" run "$host" -- "$*" && fail "this was not to go well"
}

# Seconds by the host's clock, and what is left of the answer of the page.
page='printf "GET /index.html HTTP/1.0\r\n\r\n" | socat -t 5 - TCP:10.99.0.50:80 | tail -n 1'
log=/var/log/xen/console/guest-web

echo
echo "Two real Xen hosts, in QEMU: the first time their image is built, which takes a minute or two."
"$here/lab" up 2 || fail "no hosts"
for host in a b; do
    "$here/lab" put $host "$guests/vmlinux" "$guests/initrd.gz" /root || fail "no guest"
done
"$here/lab" run a -- 'cat >web.cfg' <<CFG || fail "no configuration"
name = "web"
type = "pvh"
kernel = "/root/vmlinux"
ramdisk = "/root/initrd.gz"
cmdline = "console=hvc0 quiet dirty=500 ip=10.99.0.50/24"
memory = 128
tsc_mode = "native"
vif = [ "bridge=xenbr0" ]
CFG

run a "wherry create web.cfg"
quietly a "for i in \$(seq 120); do grep -q ^tick $log.log && break; sleep 0.5; done" || fail "it does not boot"
run a "tail -n 2 $log.log; $page"

# A terminal, so that the rounds are seen.
run a "wherry migrate --dry-run web b"
run a "script -qec 'wherry migrate web b' /dev/null"
run b "wherry list; sleep 2; tail -n 2 $log--incoming.log"
run a "$page"

# The link is cut when a third of the second move is done.
(sleep 4; "$here/lab" cut a) & cut=$!
try b "wherry migrate --compress=no --bandwidth=10MB web a"
wait $cut
run b "wherry list; sleep 2; tail -n 2 $log--incoming.log"
"$here/lab" heal a
run b "wherry recover"
run a "wherry recover; wherry list; $page"

# And as xl does it.
quietly b 'printf "#!/bin/sh\nexec ssh \$1 xl migrate-receive\n" >/run/to; chmod +x /run/to'
run b "wherry migrate --json web a | tail -n 1 >/run/wherry.json; grep -o '\"total_ms\":[0-9]*\|\"link_bytes\":[0-9]*\|\"downtime_ms\":[0-9]*' /run/wherry.json"
begun=$(quietly a "date +%s%3N")
run a "xl migrate web b 2>&1 | tail -n 1"
ended=$(quietly a "date +%s%3N")
echo
echo "wherry: $(quietly b "grep -o '\"total_ms\":[0-9]*' /run/wherry.json | tr -dc 0-9") ms, xl: $((ended - begun)) ms"
run b "wherry list; sleep 2; tail -n 2 $log--incoming.log; wherry destroy web"
