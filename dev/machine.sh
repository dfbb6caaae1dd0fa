#!/usr/bin/env bash
# Makes a small Debian in a folder, for tests that need a machine of their own: dev/machine.sh FOLDER
#
# Takes the release and the mirror of this machine. Needs root.
set -euo pipefail
folder=$1
[ -e "$folder/etc/debian_version" ] && exit 0
command -v debootstrap >/dev/null || { echo "debootstrap is missing: dev/install-packages.sh machine" >&2; exit 1; }

read -r mirror release < <(apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' |
    awk '$2 !~ /-/ { print; exit }')
rm -rf "$folder.new"
mkdir -p "$(dirname "$folder")"
debootstrap --variant=minbase \
    --include=systemd,systemd-sysv,libssl3,libnghttp2-14,libyaml-0-2,libgssapi-krb5-2,libpq5,libexpat1,zlib1g,libstdc++6,ca-certificates \
    "$release" "$folder.new" "$mirror" >"$folder.log" 2>&1 || { tail -5 "$folder.log" >&2; exit 1; }
printf '127.0.0.1 localhost\n::1 localhost\n' >"$folder.new/etc/hosts"
mv "$folder.new" "$folder"
