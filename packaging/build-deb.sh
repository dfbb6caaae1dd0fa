#!/usr/bin/env bash
# Builds the two Debian packages: open-cloud-connector (the connector alone, for the closed network) and
# open-cloud-connector-cloud (the program with everything, and the cloud side as a service). Prints their names.
#
#   packaging/build-deb.sh           builds the programs first
#   packaging/build-deb.sh FOLDER    packs programs that are built already
set -euo pipefail
cd "$(dirname "$0")/.."

. packaging/programs.sh
architecture=$(dpkg --print-architecture)

# start NAME: an empty tree for a package.
start() {
    name=$1
    tree=$output/tree-$name
    rm -rf "$tree"
    mkdir -p "$tree/DEBIAN"
}

# program FROM TO
program() {
    install -D -m 0755 "$programs/$1" "$tree/$2"
    strip --strip-unneeded "$tree/$2"
    libraries=$(libraries_of "$programs/$1")
}

# The packages that hold the libraries a program is linked with.
libraries_of() {
    ldd "$1" | awk '$3 ~ /^\// { print $3 }' | while read -r file; do
        dpkg-query -S "$(realpath "$file")" 2>/dev/null || dpkg-query -S "$(basename "$file")"
    done | sed 's/:.*//' | grep -v -e '-dev$' | sort -u | paste -sd, | sed 's/,/, /g'
}

# Looked for when the program starts, so no dependency (docs/decisions/0040).
ciphers=
[ "$architecture" != amd64 ] || ciphers=", libipsec-mb1"

# service UNIT CONFIGURATION: what the unit of a daemon and its configuration need, for the user of the unit's name.
service() {
    local unit=$1 configuration=$2
    install -D -m 0644 "packaging/systemd/$unit.service" "$tree/usr/lib/systemd/system/$unit.service"
    install -D -m 0644 packaging/systemd/notify-reload.conf "$tree/usr/share/$name/notify-reload.conf"
    install -D -m 0640 "etc/$configuration" "$tree/etc/$unit/$configuration"
    echo "/etc/$unit/$configuration" >"$tree/DEBIAN/conffiles"
    for script in postinst prerm postrm; do
        sed -e "s|@UNIT@|$unit|g" -e "s|@CONFIGURATION@|$configuration|g" -e "s|@PACKAGE@|$name|g" \
            -e "s|@PROGRAM@|$3|g" -e "s|@PRIORITY@|$4|g" "packaging/debian/$script" >"$tree/DEBIAN/$script"
        chmod 0755 "$tree/DEBIAN/$script"
    done
}

manual() {
    local folder=$tree/usr/share/man/man${1##*.}
    install -D -m 0644 "packaging/man/$1" "$folder/$1"
    gzip -9n "$folder/$1"
}

# finish DESCRIPTION [FIELD...]
finish() {
    local description=$1
    shift
    mkdir -p "$tree/usr/share/doc/$name"
    install -m 0644 README.md CHANGELOG.md docs/*.md "$tree/usr/share/doc/$name/"
    {
        printf '%s\n' "Package: $name" "Version: $version" "Architecture: $architecture" \
            "Maintainer: Open Cloud Connector <maintainers@connector.invalid>" "Section: net" "Priority: optional" \
            "Depends: $libraries, passwd" "Recommends: systemd (>= 252)$ciphers" "$@" \
            "Installed-Size: $(du -sk "$tree" | cut -f1)" "Description: $description"
    } >"$tree/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$tree" "$output/${name}_${version}_$architecture.deb" >/dev/null
    rm -rf "$tree"
    echo "$output/${name}_${version}_$architecture.deb"
}

start open-cloud-connector
program connectord-connector usr/bin/connectord-connector
service connector connector.conf /usr/bin/connectord-connector 10
mkdir -p "$tree/etc/connector/connector.d"
manual connectord-connector.8
manual connector.conf.5
finish "lets programs in the cloud call chosen systems in a closed network
 A daemon on the inside dials a TLS tunnel out, offers chosen internal hosts
 under virtual names, lets through only the paths that were allowed, and says
 exactly why when it says no. This is the daemon for the closed network; it
 does not contain the cloud side."

start open-cloud-connector-cloud
program connectord usr/lib/open-cloud-connector-cloud/connectord
service connector-cloud cloud.conf /usr/lib/open-cloud-connector-cloud/connectord 20
manual connectord.8
# Until 0.2 all of it was one package.
finish "cloud side of the Open Cloud Connector
 The connectivity service that connectors dial: HTTP and SOCKS5 entries for
 programs, tokens, destinations, a cockpit, and all commands for both sides." \
    "Breaks: open-cloud-connector (<< 0.3)" "Replaces: open-cloud-connector (<< 0.3)"
