#!/usr/bin/env bash
# Builds the two RPM packages beside the Debian ones, with the same contents: open-cloud-connector and open-cloud-connector-cloud.
# Needs rpmbuild. What the programs need, RPM finds out by the names of their libraries, which are those of RHEL 9, Fedora and openSUSE,
# too; the C library must not be older than this machine's. Prints the packages' names.
#
#   packaging/build-rpm.sh           builds the programs first
#   packaging/build-rpm.sh FOLDER    packs programs that are built already
set -euo pipefail
cd "$(dirname "$0")/.."

. packaging/programs.sh
output=$(realpath "$output")
tree=$output/rpm-tree
rm -rf "$tree" "$output/rpm"
mkdir -p "$tree"

program() {
    install -D -m 0755 "$programs/$1" "$tree/$2"
    strip --strip-unneeded "$tree/$2"
}
manual() {
    install -D -m 0644 "packaging/man/$1" "$tree/usr/share/man/man${1##*.}/$1"
    gzip -9n "$tree/usr/share/man/man${1##*.}/$1"
}
# service PACKAGE UNIT CONFIGURATION
service() {
    install -D -m 0644 "packaging/systemd/$2.service" "$tree/usr/lib/systemd/system/$2.service"
    install -D -m 0640 "etc/$3" "$tree/etc/$2/$3"
    install -d -m 0700 "$tree/etc/$2/credentials"
    install -d "$tree/usr/share/doc/$1"
    install -m 0644 README.md CHANGELOG.md docs/*.md "$tree/usr/share/doc/$1/"
}
program connectord-connector usr/bin/connectord-connector
program connectord usr/lib/open-cloud-connector-cloud/connectord
service open-cloud-connector connector connector.conf
service open-cloud-connector-cloud connector-cloud cloud.conf
install -d -m 0750 "$tree/etc/connector/connector.d"
manual connectord-connector.8
manual connector.conf.5
manual connectord.8

rpmbuild --quiet -bb --define "_topdir $output/rpm" --define "_rpmdir $output" --define "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
    --define "version $version" --define "tree $tree" packaging/rpm/open-cloud-connector.spec >&2
rm -rf "$tree" "$output/rpm"
for name in open-cloud-connector open-cloud-connector-cloud; do echo "$output/$name-$version-1.$(uname -m).rpm"; done
