#!/usr/bin/env bash
# Installs, upgrades, removes and purges the Debian packages in a small Debian of its own, and checks the units.
# Needs root, debootstrap and a mirror. dev/test-package.sh [FOLDER], with the programs
set -euo pipefail
cd "$(dirname "$0")/.."
machine=.build/package/machine
mapfile -t debs < <(packaging/build-deb.sh "$@" | grep '\.deb$')
dev/machine.sh "$machine"

fail() { echo "FAILED: $*" >&2; exit 1; }
# With /proc, where a program finds its own arguments; mounted for this one alone.
inside() { unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$machine" "$@"; }
mode() { inside stat -c '%a %U:%G' "$1"; }
expect() { [ "$2" = "$3" ] || fail "$1 is $2, not $3"; }
files() {
    inside sh -c 'find / -xdev \( -path /proc -o -path /run -o -path /sys -o -path /tmp -o -path /var/cache -o -path /var/lib/dpkg \
    -o -path /var/log/dpkg.log -o -path /var/log/alternatives.log \) -prune -o -print' | sort
}
# upgraded DEB TO: the same package with a higher version.
upgraded() {
    local tree=.build/package/upgrade
    rm -rf "$tree"
    dpkg-deb -R "$1" "$tree"
    sed -i 's/^Version: .*/&+upgrade/' "$tree/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$tree" "$2" >/dev/null
    rm -rf "$tree"
}
# single TO: what the one package of before 0.3 put where.
single() {
    local tree=.build/package/single
    rm -rf "$tree"
    mkdir -p "$tree/DEBIAN" "$tree/usr/bin" "$tree/usr/lib/systemd/system" "$tree/etc/connector" "$tree/etc/connector-cloud" \
        "$tree/usr/share/man/man5" "$tree/usr/share/man/man8"
    printf '#!/bin/sh\necho 0.2.0\n' >"$tree/usr/bin/connectord"
    chmod 755 "$tree/usr/bin/connectord"
    cp packaging/systemd/connector.service packaging/systemd/connector-cloud.service "$tree/usr/lib/systemd/system/"
    cp etc/connector.conf "$tree/etc/connector/"
    cp etc/cloud.conf "$tree/etc/connector-cloud/"
    touch "$tree/usr/share/man/man5/connector.conf.5.gz" "$tree/usr/share/man/man8/connectord.8.gz"
    printf '/etc/connector/connector.conf\n/etc/connector-cloud/cloud.conf\n' >"$tree/DEBIAN/conffiles"
    printf '%s\n' "Package: open-cloud-connector" "Version: 0.2.0" "Architecture: $(dpkg --print-architecture)" \
        "Maintainer: Open Cloud Connector <maintainers@connector.invalid>" "Description: before the split" \
        >"$tree/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$tree" "$1" >/dev/null
    rm -rf "$tree"
}
both="open-cloud-connector-cloud open-cloud-connector"

# The machine as it was, whatever an earlier run left.
inside dpkg -P $both >/dev/null 2>&1 || true
before=$(files)
connector=$machine/tmp/connector.deb
cloud=$machine/tmp/cloud.deb
cp "${debs[0]}" "$connector"
cp "${debs[1]}" "$cloud"

echo "-- install the connector alone"
inside dpkg -i /tmp/connector.deb >/dev/null
expect "the program" "$(mode /usr/bin/connectord-connector)" "755 root:root"
expect "connector.conf" "$(mode /etc/connector/connector.conf)" "640 connector:connector"
expect "the folder for credentials" "$(mode /etc/connector/credentials)" "700 root:root"
expect "the folder for keys" "$(mode /var/lib/connector/tls)" "750 connector:connector"
inside connectord check-config /etc/connector/connector.conf >/dev/null || fail "the file that comes along is not valid"
if inside connectord --help | grep -qE '^  (cloud|token) '; then fail "the connector's package has the cloud side"; fi
[ ! -e "$machine/etc/connector-cloud" ] || fail "the connector's package has files of the cloud side"
[ -s "$machine/usr/share/man/man8/connectord-connector.8.gz" ] || fail "no manual page"

echo "-- and the cloud side beside it"
inside dpkg -i /tmp/cloud.deb >/dev/null
expect "the folder for logs" "$(mode /var/log/connector-cloud)" "750 connector-cloud:connector-cloud"
inside connectord check-config --cloud /etc/connector-cloud/cloud.conf >/dev/null || fail "cloud.conf is not valid"
inside connectord --help | grep -qE '^  cloud ' || fail "connectord is not the program with everything"
[ -s "$machine/usr/share/man/man8/connectord.8.gz" ] || fail "no manual page"

echo "-- units"
for unit in connector connector-cloud; do
    findings=$(inside systemd-analyze verify --man=no "/usr/lib/systemd/system/$unit.service" 2>&1) || true
    [ -z "$findings" ] || fail "$findings"
    inside systemd-analyze security --offline=yes --threshold=20 "/usr/lib/systemd/system/$unit.service" | tail -1
done

echo "-- upgrade keeps what was edited"
echo "# edited" >>"$machine/etc/connector/connector.conf"
echo "# edited" >>"$machine/etc/connector-cloud/cloud.conf"
upgraded "$connector" "$machine/tmp/connector2.deb"
upgraded "$cloud" "$machine/tmp/cloud2.deb"
inside dpkg -i --force-confold /tmp/connector2.deb /tmp/cloud2.deb >/dev/null
for file in connector/connector.conf connector-cloud/cloud.conf; do
    grep -q "# edited" "$machine/etc/$file" || fail "the upgrade lost $file"
done
expect "connector.conf" "$(mode /etc/connector/connector.conf)" "640 connector:connector"

echo "-- either goes without the other; remove keeps the configuration, purge leaves nothing"
inside dpkg -r open-cloud-connector-cloud >/dev/null
inside connectord status --help >/dev/null || fail "without the cloud side, connectord is gone"
inside dpkg -r open-cloud-connector >/dev/null
[ ! -e "$machine/usr/bin/connectord" ] || fail "the program is still there"
grep -q "# edited" "$machine/etc/connector/connector.conf" || fail "removing lost the configuration"
inside dpkg -P $both >/dev/null
left=$(comm -13 <(echo "$before") <(files))
[ -z "$left" ] || fail "left behind: $left"
if inside getent passwd connector >/dev/null; then fail "the user is still there"; fi

echo "-- upgrade from the one package of before 0.3"
single "$machine/tmp/single.deb"
inside dpkg -i /tmp/single.deb >/dev/null
for file in connector/connector.conf connector-cloud/cloud.conf; do echo "# edited" >>"$machine/etc/$file"; done
inside dpkg -i --force-confold /tmp/connector.deb /tmp/cloud.deb >/dev/null
for file in connector/connector.conf connector-cloud/cloud.conf; do
    grep -q "# edited" "$machine/etc/$file" || fail "the upgrade from one package lost $file"
done
inside connectord check-config /etc/connector/connector.conf >/dev/null || fail "the upgraded connector does not run"
inside connectord check-config --cloud /etc/connector-cloud/cloud.conf >/dev/null || fail "the upgraded cloud side does not run"
inside dpkg -P $both >/dev/null
left=$(comm -13 <(echo "$before") <(files))
[ -z "$left" ] || fail "left behind: $left"

echo "-- the cloud side alone"
inside dpkg -i /tmp/cloud.deb >/dev/null
inside connectord check-config --cloud /etc/connector-cloud/cloud.conf >/dev/null || fail "the cloud side alone does not run"
inside dpkg -P open-cloud-connector-cloud >/dev/null
rm -f "$machine"/tmp/*.deb
echo "the packages install, upgrade, and go without a trace"
