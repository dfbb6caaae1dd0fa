#!/usr/bin/env bash
# Builds the RPM packages and checks that they bring the files of the Debian ones, need the libraries by name, and hold programs that run.
# Needs rpmbuild. dev/test-rpm.sh [FOLDER], with the programs
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "FAILED: $*" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t rpms < <(packaging/build-rpm.sh "$@" | grep '\.rpm$')
[ ${#rpms[@]} -eq 2 ] || fail "two packages are expected"
for rpm in "${rpms[@]}"; do
    rpm -K --nosignature "$rpm" >/dev/null || fail "$rpm is damaged"
    needs=$(rpm -qpR "$rpm")
    for library in libssl.so.3 libnghttp2.so.14 libc.so.6; do
        case $needs in *"$library"*) ;; *) fail "$rpm does not need $library" ;; esac
    done
    mkdir -p "$work/tree"
    rpm2archive - <"$rpm" | tar -xz -C "$work/tree"
    # What only Debian has: how its reload is set up for newer systemd, and a changelog's place.
    name=$(basename "$rpm" | sed 's/-[0-9].*//')
    for deb in .build/package/"${name}"_[0-9]*.deb; do
        [ -e "$deb" ] || continue
        diff <(dpkg-deb -c "$deb" | awk '$1 ~ /^-/ { print substr($6, 2) }' | grep -v notify-reload.conf | sort) \
            <(cd "$work/tree" && find . -type f | cut -c 2- | sort) || fail "$rpm has other files than $deb"
    done
    find "$work/tree/usr" -type f -perm -u+x | while read -r program; do
        "$program" --version >/dev/null || fail "$program does not run"
    done
    rm -rf "$work/tree"
done
echo "the RPM packages stand"
