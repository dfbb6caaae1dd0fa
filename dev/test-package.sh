#!/usr/bin/env bash
# Installs, upgrades, removes and purges the Debian package in a small Debian of its own, and checks the units.
# Needs root, debootstrap and a mirror. dev/test-package.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."
machine=.build/package/machine
deb=$(packaging/build-deb.sh "$@" | tail -1)
dev/machine.sh "$machine"

fail() { echo "FAILED: $*" >&2; exit 1; }
inside() { chroot "$machine" "$@"; }
mode() { inside stat -c '%a %U:%G' "$1"; }
expect() { [ "$2" = "$3" ] || fail "$1 is $2, not $3"; }

# The machine as it was, whatever an earlier run left.
inside dpkg -P open-cloud-connector >/dev/null 2>&1 || true
before=$(inside sh -c 'find / -xdev \( -path /proc -o -path /run -o -path /sys -o -path /tmp -o -path /var/cache -o -path /var/lib/dpkg \
    -o -path /var/log/dpkg.log -o -path /var/log/alternatives.log \) -prune -o -print' | sort)

echo "-- install"
cp "$deb" "$machine/tmp/one.deb"
inside dpkg -i /tmp/one.deb >/dev/null
expect "the program" "$(mode /usr/bin/connectord)" "755 root:root"
expect "connector.conf" "$(mode /etc/connector/connector.conf)" "640 root:connector"
expect "the folder for credentials" "$(mode /etc/connector/credentials)" "700 root:root"
expect "the folder for keys" "$(mode /var/lib/connector/tls)" "750 connector:connector"
expect "the folder for logs" "$(mode /var/log/connector-cloud)" "750 connector-cloud:connector-cloud"
inside connectord check-config /etc/connector/connector.conf >/dev/null || fail "the file that comes along is not valid"
inside connectord check-config --cloud /etc/connector-cloud/cloud.conf >/dev/null || fail "cloud.conf is not valid"
[ -s "$machine/usr/share/man/man8/connectord.8.gz" ] || fail "no manual page"

echo "-- units"
for unit in connector connector-cloud; do
    findings=$(inside systemd-analyze verify --man=no "/usr/lib/systemd/system/$unit.service" 2>&1) || true
    [ -z "$findings" ] || fail "$findings"
    inside systemd-analyze security --offline=yes --threshold=20 "/usr/lib/systemd/system/$unit.service" | tail -1
done

echo "-- upgrade keeps what was edited"
echo "# edited" >>"$machine/etc/connector/connector.conf"
new=.build/package/upgrade
rm -rf "$new"
dpkg-deb -R "$deb" "$new"
sed -i 's/^Version: .*/&+upgrade/' "$new/DEBIAN/control"
dpkg-deb --root-owner-group --build "$new" "$machine/tmp/two.deb" >/dev/null
rm -rf "$new"
inside dpkg -i --force-confold /tmp/two.deb >/dev/null
grep -q "# edited" "$machine/etc/connector/connector.conf" || fail "the upgrade lost the configuration"
expect "connector.conf" "$(mode /etc/connector/connector.conf)" "640 root:connector"

echo "-- remove keeps the configuration, purge leaves nothing"
inside dpkg -r open-cloud-connector >/dev/null
[ ! -e "$machine/usr/bin/connectord" ] || fail "the program is still there"
grep -q "# edited" "$machine/etc/connector/connector.conf" || fail "removing lost the configuration"
inside dpkg -P open-cloud-connector >/dev/null
after=$(inside sh -c 'find / -xdev \( -path /proc -o -path /run -o -path /sys -o -path /tmp -o -path /var/cache -o -path /var/lib/dpkg \
    -o -path /var/log/dpkg.log -o -path /var/log/alternatives.log \) -prune -o -print' | sort)
left=$(comm -13 <(echo "$before") <(echo "$after"))
[ -z "$left" ] || fail "left behind: $left"
if inside getent passwd connector >/dev/null; then fail "the user is still there"; fi

echo "-- and again"
inside dpkg -i /tmp/one.deb >/dev/null
inside dpkg -P open-cloud-connector >/dev/null
rm -f "$machine"/tmp/*.deb
echo "the package installs, upgrades, and goes without a trace"
