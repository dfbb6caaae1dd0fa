#!/usr/bin/env bash
# Builds the Debian package: .build/package/open-cloud-connector_VERSION_ARCHITECTURE.deb
#
#   packaging/build-deb.sh            builds the program first
#   packaging/build-deb.sh PROGRAM    packs a program that is built already
set -euo pipefail
cd "$(dirname "$0")/.."

program=${1:-}
if [ -z "$program" ]; then
    dev/build-release.sh
    program=.build/release/connectord
fi
version=$("$program" --version)
architecture=$(dpkg --print-architecture)
name=open-cloud-connector
output=.build/package
tree=$output/tree
rm -rf "$tree"
mkdir -p "$tree/DEBIAN"

install -D -m 0755 "$program" "$tree/usr/bin/connectord"
strip --strip-unneeded "$tree/usr/bin/connectord"
for unit in connector connector-cloud; do
    install -D -m 0644 packaging/systemd/$unit.service "$tree/usr/lib/systemd/system/$unit.service"
done
install -D -m 0644 packaging/systemd/notify-reload.conf "$tree/usr/share/$name/notify-reload.conf"
install -D -m 0640 etc/connector.conf "$tree/etc/connector/connector.conf"
install -D -m 0640 etc/cloud.conf "$tree/etc/connector-cloud/cloud.conf"
mkdir -p "$tree/etc/connector/connector.d"
for page in connectord.8 connector.conf.5; do
    folder=$tree/usr/share/man/man${page##*.}
    install -D -m 0644 "packaging/man/$page" "$folder/$page"
    gzip -9n "$folder/$page"
done
mkdir -p "$tree/usr/share/doc/$name"
install -m 0644 README.md docs/*.md "$tree/usr/share/doc/$name/"
for script in postinst prerm postrm; do install -m 0755 packaging/debian/$script "$tree/DEBIAN/$script"; done
printf '/etc/connector/connector.conf\n/etc/connector-cloud/cloud.conf\n' >"$tree/DEBIAN/conffiles"

# The packages that hold the libraries the program is linked with.
libraries=$(ldd "$program" | awk '$3 ~ /^\// { print $3 }' | while read -r file; do
    dpkg-query -S "$(realpath "$file")" 2>/dev/null || dpkg-query -S "$(basename "$file")"
done | sed 's/:.*//' | grep -v -e '-dev$' | sort -u | paste -sd, | sed 's/,/, /g')
cat >"$tree/DEBIAN/control" <<CONTROL
Package: $name
Version: $version
Architecture: $architecture
Maintainer: Open Cloud Connector <maintainers@connector.invalid>
Section: net
Priority: optional
Depends: $libraries, passwd
Recommends: systemd (>= 252)
Installed-Size: $(du -sk "$tree" | cut -f1)
Description: lets programs in the cloud call chosen systems in a closed network
 A daemon on the inside dials a TLS tunnel out, offers chosen internal hosts
 under virtual names, lets through only the paths that were allowed, and says
 exactly why when it says no. The cloud side is part of it.
CONTROL
dpkg-deb --root-owner-group --build "$tree" "$output/${name}_${version}_$architecture.deb" >/dev/null
rm -rf "$tree"
echo "$output/${name}_${version}_$architecture.deb"
