#!/usr/bin/env bash
# Boots a real systemd in a container, installs the package there, and goes through what docs/operations.md says:
# enrol, start, reload (good and bad), watchdog, restart, status, stop. Needs root and systemd-nspawn.
#
#   dev/test-systemd.sh [FOLDER], with the programs
set -euo pipefail
cd "$(dirname "$0")/.."
machine=$PWD/.build/package/machine
mapfile -t debs < <(packaging/build-deb.sh "$@" | grep '\.deb$')
dev/machine.sh "$machine"
cp "${debs[0]}" "$machine/srv/connector.deb"
cp "${debs[1]}" "$machine/srv/cloud.deb"
purge() { chroot "$machine" dpkg -P open-cloud-connector-cloud open-cloud-connector >/dev/null 2>&1 || true; }
purge

fail() {
    echo "FAILED: $*" >&2
    inside journalctl -u connector -u connector-cloud -n 40 --no-pager >&2 || true
    exit 1
}
inside() { nsenter -t "$leader" -a -- "$@"; }
# Waits until a command inside succeeds.
wait_for() {
    for _ in $(seq 200); do
        if inside sh -c "$1" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    fail "never came true: $1"
}
property() { inside systemctl show -p "$2" --value "$1"; }

systemd-nspawn -q -b -D "$machine" --register=no --keep-unit --private-network --console=pipe \
    </dev/null >.build/package/boot.log 2>&1 &
container=$!
cleanup() {
    kill -TERM "$container" 2>/dev/null || true
    wait "$container" 2>/dev/null || true
    rm -rf "$machine"/srv/*.deb "$machine/etc/systemd/system/connector.service.d"
    purge
}
trap cleanup EXIT
leader=
for _ in $(seq 100); do
    leader=$(pgrep -P "$container" | head -1 || true)
    [ -n "$leader" ] && [ "$(cat "/proc/$leader/comm")" = systemd ] && break
    sleep 0.1
done
if [ -z "$leader" ] || ! kill -0 "$container" 2>/dev/null; then
    echo "SKIPPED: no container can be booted here: $(tail -1 .build/package/boot.log)"
    exit 0
fi
wait_for 'systemctl is-system-running | grep -E "running|degraded"'
echo "-- booted $(inside systemctl --version | head -1)"

inside dpkg -i /srv/connector.deb /srv/cloud.deb >/dev/null
inside sed -i 's/^subaccount: .*/subaccount: plant/' /etc/connector-cloud/cloud.conf /etc/connector/connector.conf
inside sed -i 's/service: connectivity.example.com:443/service: 127.0.0.1:20443/' /etc/connector/connector.conf
# The same watchdog, sooner.
inside mkdir -p /etc/systemd/system/connector.service.d
inside sh -c 'printf "[Service]\nWatchdogSec=3\n" > /etc/systemd/system/connector.service.d/test.conf && systemctl daemon-reload'
echo "-- the cloud side starts and tells systemd so"
inside systemctl start connector-cloud
[ "$(property connector-cloud ActiveState)" = active ] || fail "not active"
echo "-- enrolment"
# The daemon's user and root may ask it.
token=$(inside connectord enrol create --subaccount plant 2>/dev/null)
inside connectord enrol "$token" || fail "enrol"
[ "$(inside stat -c '%a %U' /var/lib/connector/tls/connector.key)" = "600 connector" ] || fail "mode of the key"
echo "-- the connector starts, with a credential, and is connected"
inside systemctl start connector
wait_for 'systemctl show -p StatusText --value connector | grep "2 tunnels up"'
inside systemctl status connector --no-pager | grep -E "Status:" || fail "no status text"
inside connectord status | grep -q Connected || fail "status"

pid=$(property connector MainPID)
status=$(inside cat "/proc/$pid/status")
grep -q "^NoNewPrivs:.1" <<<"$status" || fail "NoNewPrivs"
grep -q "^Seccomp:.2" <<<"$status" || fail "Seccomp"
grep -q "^CapEff:.0000000000000000" <<<"$status" || fail "capabilities"
listening=$(inside sh -c 'cat /proc/net/tcp | awk "\$4 == \"0A\" { print \$2 }" | sort' | tr '\n' ' ')
echo "-- listens only on loopback: $listening"
[ "$listening" = "0100007F:20FB 0100007F:4E23 0100007F:4E24 0100007F:4E70 0100007F:4E71 0100007F:4FDB " ] || fail "listens elsewhere"

echo "-- page and API are there, and change the file as the service's user"
inside connectord admin password 2>/dev/null | grep -q -- - || fail "no code"
[ "$(inside stat -c '%a %U' /var/lib/connector/admin/users.json)" = "600 connector" ] || fail "users"
inside sh -c "printf 'PUT /api/v1/configuration/connector HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"description\":\"by systemd\"}' | perl -MIO::Socket::UNIX -e '\$s = IO::Socket::UNIX->new(\"/run/connector/admin.sock\"); print \$s <STDIN>; print <\$s>'" \
    | grep -q "200 OK" || fail "a change through the API"
inside grep -q "^description: by systemd" /etc/connector/connector.conf || fail "the file was not changed"
[ "$(inside stat -c '%a %U' /etc/connector/connector.conf)" = "640 connector" ] || fail "mode of the file"

echo "-- reload: a good file takes effect, a bad one changes nothing and says so"
inside sed -i 's/virtual-host: internalhost:3333/virtual-host: otherhost:3333/' /etc/connector/connector.conf
inside systemctl reload connector || fail "a good reload failed"
inside connectord status | grep -q otherhost || fail "the new mapping is not there"
inside sed -i 's/^systems:/sistems:/' /etc/connector/connector.conf
if inside systemctl reload connector 2>/dev/null; then fail "a bad reload succeeded"; fi
inside connectord status | grep -q "LAST RELOAD FAILED" || fail "status says nothing"
inside connectord status | grep -q otherhost || fail "the old mapping is gone"
[ "$(property connector MainPID)" = "$pid" ] || fail "the process is another one"
inside sed -i 's/^sistems:/systems:/' /etc/connector/connector.conf
inside systemctl reload connector || fail "reload after repair"

echo "-- the journal has fields"
wait_for 'journalctl -q --no-pager CONNECTOR_SERVICE=127.0.0.1:20443 | grep "tunnel connected"'

echo "-- the watchdog notices a stuck process, and systemd starts it again"
inside systemctl kill -s STOP connector
restarted=0
for _ in $(seq 600); do
    if [ "$(property connector NRestarts)" -ge 1 ]; then restarted=1; break; fi
    sleep 0.1
done
[ $restarted = 1 ] || fail "never restarted"
wait_for 'systemctl show -p StatusText --value connector | grep "2 tunnels up"'
echo "-- SIGKILL: it is back at once"
inside systemctl kill -s KILL connector
wait_for 'test "$(systemctl show -p NRestarts --value connector)" -ge 2'
wait_for 'systemctl show -p StatusText --value connector | grep "2 tunnels up"'

echo "-- audit files are whole, and belong to the service"
inside connectord audit verify /var/log/connector/audit || fail "audit"
echo "-- the cloud side is started again, and knows its connectors"
inside systemctl restart connector-cloud
wait_for 'systemctl show -p StatusText --value connector-cloud | grep "1 connectors, 2 tunnels"'
echo "-- stop"
inside systemctl stop connector connector-cloud
[ "$(property connector Result)" = success ] || fail "result of stopping: $(property connector Result)"
for secret in /var/lib/connector/tls/connector.key /var/log/connector/audit/audit.key \
    /var/lib/connector-cloud/authority/ca.key; do
    case "$(inside stat -c %a "$secret")" in 600) ;; *) fail "others can read $secret" ;; esac
done
echo "systemd and the connector understand each other"
