#!/bin/sh
# pack.sh NAME VERSION DIR OUT: makes OUT/NAME-VERSION.tar.gz of what is in DIR, and its .md5.
# `control` lies at the root of the archive: there is no leading folder.
set -eu
[ $# -eq 4 ] || { echo "usage: $0 NAME VERSION DIR OUT" >&2; exit 2; }
[ -x "$3/control" ] || { echo "$0: $3 has no control script that can be run" >&2; exit 1; }
mkdir -p "$4"
package=$1-$2.tar.gz
(cd "$3" && find . -mindepth 1 -printf '%P\0' | sort -z) |
    tar -C "$3" --null --no-recursion --files-from=- --numeric-owner --owner=0 --group=0 -czf "$4/$package"
(cd "$4" && md5sum "$package" >"$package.md5")
