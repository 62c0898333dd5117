#!/bin/sh
# Brings what build, tests and demo need from Debian. Tools are installed when missing; programs whose package would
# start a service are only unpacked, into target/debian/. What tries the API comes from PyPI, into target/schemathesis/.
set -eu
cd "$(dirname "$0")/.."
into=$PWD/target/debian
missing=''

say() {
    echo "deps: $*" >&2
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@"
    else
        say "not root, and there is no sudo: cannot run $*"
        return 1
    fi
}

# The lists of packages may be missing or too old: they are fetched at most once, and only when something failed.
listed=no
with_fresh_lists() {
    "$@" && return 0
    [ "$listed" = no ] || return 1
    listed=yes
    as_root apt-get -qq update && "$@"
}

install() {
    command -v apt-get >/dev/null || return 1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" >/dev/null
}

# tool PROGRAM PACKAGE...: the program, installed when missing.
tool() {
    program=$1
    shift
    command -v "$program" >/dev/null && return 0
    say "installing $*"
    with_fresh_lists install "$@" || true
    command -v "$program" >/dev/null || missing="$missing
    $program (Debian: $*)"
}

download() {
    command -v apt-get >/dev/null || return 1
    (cd "$into/packages" && apt-get -qq -o APT::Sandbox::User=root download "$1" >/dev/null)
}

# unpacked FILE PACKAGE: the package, below $into; FILE is what is wanted of it, and tells that it is there.
unpacked() {
    [ -e "$into/$1" ] && return 0
    say "fetching $2"
    mkdir -p "$into/packages"
    rm -f "$into/packages/$2"_*.deb
    if with_fresh_lists download "$2"; then
        for package in "$into/packages/$2"_*.deb; do
            dpkg -x "$package" "$into" || true
        done
    fi
    rm -rf "$into/packages"
    [ -e "$into/$1" ] || missing="$missing
    $2 (Debian: apt-get download and dpkg -x into target/debian)"
}

# Libraries of an unpacked program that this machine lacks, unpacked beside it: run it with LD_LIBRARY_PATH.
libraries() {
    [ -e "$into/$1" ] || return 0
    folder=usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch)
    lacking=$(LD_LIBRARY_PATH=$into/$folder ldd "$into/$1" | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p')
    for library in $lacking; do
        case $library in
            libssl.* | libcrypto.*) unpacked "$folder/$library" libssl3 ;;
            libpcre2-8.*) unpacked "$folder/$library" libpcre2-8-0 ;;
            libz.*) unpacked "$folder/$library" zlib1g ;;
            libcrypt.*) unpacked "$folder/$library" libcrypt1 ;;
            *) missing="$missing
    $library, which $1 needs" ;;
        esac
    done
}

# venv FOLDER LIST: a folder with the Python programs of a list, whose versions stand there, and the list as it was.
venv() {
    cmp -s "$2" "$1/list" && return 0
    say "fetching the Python programs of $2"
    rm -rf "$1"
    if with_fresh_lists made "$1" && "$1/bin/pip" -q --disable-pip-version-check install -r "$2" >&2; then
        cp "$2" "$1/list"
    else
        missing="$missing
    the Python programs of $2 (Debian: python3-venv, then pip)"
    fi
}

# Debian's Python comes without the means to make one.
made() {
    python3 -m venv "$1" >/dev/null 2>&1 && return 0
    rm -rf "$1"
    install python3-venv && python3 -m venv "$1" >/dev/null
}

tool gcc gcc libc6-dev
tool openssl openssl
tool strace strace
tool file file
tool setsid util-linux
tool curl curl
tool minisign minisign
tool wget wget
tool python3 python3 python3-venv
unpacked usr/bin/prometheus-node-exporter prometheus-node-exporter
unpacked usr/sbin/nginx nginx
libraries usr/sbin/nginx
venv target/schemathesis packaging/schemathesis.txt

if [ -n "$missing" ]; then
    say "could not be had here, please install:$missing"
    exit 1
fi
