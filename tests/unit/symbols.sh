#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# symbols.sh LIBRARY MAP HEADER: the library exports what the map lists, which is what the header
# declares, and nothing else.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

nm -D --defined-only "$1" | awk '$2 != "A" { sub("@.*", "", $3); print $3 }' | sort >"$dir/has"
sed -n '/global:/,/local:/s/^ *\([a-z0-9_]*\);$/\1/p' "$2" | sort >"$dir/lists"
sed -n 's/^WH_API [^(]*[ *]\(wh_[a-z0-9_]*\)(.*/\1/p' "$3" | sort >"$dir/declares"
[ -s "$dir/lists" ] || { echo "$2 lists nothing"; exit 1; }
diff -u --label "in $2" "$dir/lists" --label "in $1" "$dir/has"
diff -u --label "in $2" "$dir/lists" --label "in $3" "$dir/declares"
