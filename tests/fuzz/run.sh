#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# run.sh MINUTES [TARGET...]: builds the fuzzers with clang, ASan and UBSan, and runs each for that
# long, two at a time (JOBS).  They start from the corpus and, if it is named, from a folder SEEDS
# as seeds.py makes.  What they learn is merged into the corpus, short inputs first and KEEP KiB of
# them; what they broke is left where the last lines say.
set -eu

minutes=${1:?usage: run.sh MINUTES [TARGET...]}
shift
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${BUILD:-$top/build-fuzz}
corpus=${CORPUS:-$here/corpus}
jobs=${JOBS:-2}
work=$(mktemp -d "${TMPDIR:-/tmp}/wherry-fuzz.XXXXXX")
[ $# -gt 0 ] || set -- chain libxc libxl xl legacy trailer config config_xlcfg zstd physmap qmp parcel

export ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=3 UBSAN_OPTIONS=print_stacktrace=1

[ -f "$build/build.ninja" ] ||
    CC=clang meson setup "$build" "$top" -Dfuzz=true -Doptimization=2 -Db_lundef=false \
        -Db_sanitize=address,undefined \
        -Dc_args="-fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined" >"$work/setup" ||
    { cat "$work/setup"; exit 1; }
# shellcheck disable=SC2046
ninja -C "$build" $(printf 'tests/fuzz/fuzz_%s ' "$@") >"$work/ninja" ||
    { cat "$work/ninja"; exit 1; }

# A stream must not make us hold more than a little of it; the chain has several jobs' windows.
fuzz() {
    target=$1
    length=65536 memory=256 piece=16
    [ "$target" != chain ] || length=32768 memory=512 piece=64
    [ "$target" != zstd ] || memory=512 piece=160       # the window of one frame
    mkdir -p "$work/$target" "$work/broke-$target" "$corpus/$target"
    nice -n 10 "$build/tests/fuzz/fuzz_$target" -max_total_time=$((minutes * 60)) -timeout=10 \
        -max_len="$length" -rss_limit_mb="$memory" -malloc_limit_mb="$piece" \
        -dict="$here/xen.dict" -artifact_prefix="$work/broke-$target/" -print_final_stats=1 \
        "$work/$target" "$corpus/$target" ${SEEDS:+"$SEEDS/$target"} >"$work/$target.log" 2>&1 || :
}

# A few inputs that reach all that was reached; of those the shortest, up to the bound.  What
# somebody gave a name of words stays: it broke something once.
merge() {
    target=$1
    keep=${KEEP:-250}
    [ "$target" != chain ] || keep=$((keep * 8 / 5))
    mkdir -p "$work/all-$target" "$work/small-$target"
    nice -n 10 "$build/tests/fuzz/fuzz_$target" -merge=1 -use_counters=0 -rss_limit_mb=2048 \
        "$work/all-$target" "$work/$target" "$corpus/$target" ${SEEDS:+"$SEEDS/$target"} \
        >"$work/$target.merge" 2>&1 || :
    find "$corpus/$target" -type f -name '*-*' -exec cp -t "$work/small-$target" {} +
    find "$work/all-$target" -type f -printf '%s %p\n' | sort -n | {
        total=0
        while read -r size path; do
            total=$((total + size))
            [ "$total" -le $((keep * 1024)) ] || break
            cp "$path" "$work/small-$target/"
        done
    }
    [ -z "$(ls "$work/small-$target")" ] ||
        { rm -r "${corpus:?}/$target" && mv "$work/small-$target" "$corpus/$target"; }
}

say() {
    target=$1
    stat() { sed -n "s/^stat::$1: *//p" "$work/$target.log" | tail -1; }
    reached=$(sed -n 's/.*\(cov: [0-9]* ft: [0-9]*\).*/\1/p' "$work/$target.log" | tail -1)
    echo "$target: $(stat number_of_executed_units) executions, $reached," \
        "peak $(stat peak_rss_mb) MiB, broke $(find "$work/broke-$target" -type f | wc -l)"
}

each() {
    fuzz "$1"
    merge "$1"
    say "$1"
}

running=0
for target; do
    each "$target" &
    running=$((running + 1))
    [ $((running % jobs)) -ne 0 ] || wait
done
wait
broken=$(find "$work" -path '*/broke-*' -type f)
if [ -n "$broken" ]; then
    echo "$broken"
    exit 1
fi
echo "nothing broke"
rm -r "$work"
