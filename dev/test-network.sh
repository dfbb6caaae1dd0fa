#!/usr/bin/env bash
# A bad network between connector and service: loss, silence, cut connections, small packets, little bandwidth, delay.
# Everything runs in a network namespace of its own. Needs root, iproute2, nftables, python3, curl.
#
#   dev/test-network.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-.build/debug/connectord}")
folder=$(mktemp -d)
space=connector-$$
pids=()

fail() {
    echo "FAILED: $*" >&2
    for log in "$folder"/*.log; do tail -n 5 "$log" >&2; done
    exit 1
}
cleanup() {
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    ip netns del "$space" 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT
inside() { ip netns exec "$space" "$@"; }
start() { # NAME COMMAND...: in the namespace, in the background
    local name=$1
    shift
    (cd "$folder" && exec ip netns exec "$space" "$@") >"$folder/$name.log" 2>&1 &
    pids+=($!)
}
now() { date +%s%3N; }
# wait_for SECONDS COMMAND...: until it succeeds; prints how many milliseconds that took
wait_for() {
    local from limit
    from=$(now)
    limit=$((from + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now)" -lt "$limit" ] || return 1
        sleep 0.05
    done
    echo $(($(now) - from))
}
code() { # STATUS PATH
    [ "$(inside curl -s -o /dev/null -m 5 -w '%{http_code}' -x 127.0.0.1:20003 "http://backend.test$2")" = "$1" ]
}
# drop CONDITION: packets of the tunnel, both ways
drop() {
    inside nft -f - <<X
table inet t {
    chain c {
        type filter hook input priority 0;
        tcp dport 20443 $1 drop
        tcp sport 20443 $1 drop
    }
}
X
}
undrop() { inside nft delete table inet t; }

ip netns add "$space"
inside ip link set lo up
(cd "$folder" && "$program" certificates --directory . --subaccount test)
mkdir "$folder/www"
head -c 20000000 /dev/urandom >"$folder/www/large"
echo small >"$folder/www/small"
cat >"$folder/cloud.conf" <<X
subaccount: test
proxy: {listen: "127.0.0.1:20003"}
tunnel: {listen: "127.0.0.1:20443", ping-interval: 1s, certificate: service.pem, private-key: service.key, trusted-ca: ca.pem}
admin: {socket: cloud.sock}
X
cat >"$folder/connector.conf" <<X
subaccount: test
tunnel: {service: "localhost:20443", connections: 1, ping-interval: 1s, certificate: connector.pem, private-key: connector.key, trusted-ca: ca.pem}
check: {interval: "off"}
admin: {socket: connector.sock}
systems:
  - {virtual-host: "backend.test:80", internal-host: "127.0.0.1:8080", protocol: HTTP, resources: [{path: /, access: path-and-sub-paths}]}
X
start backend python3 -m http.server 8080 --bind 127.0.0.1 --directory "$folder/www"
start cloud "$program" cloud --config cloud.conf
start connector "$program" run --config connector.conf
wait_for 10 code 200 /small >/dev/null || fail "never came up"

echo "-- 5 % of the tunnel's packets are lost: everything arrives"
drop 'numgen random mod 100 < 5'
for _ in $(seq 30); do code 200 /small || fail "a request was lost"; done
inside curl -s -m 60 -x 127.0.0.1:20003 http://backend.test/large | cmp - "$folder/www/large" || fail "a transfer was damaged"
undrop

echo "-- silence: both sides notice, new requests get 503, and it is back by itself"
drop ''
took=$(wait_for 10 code 503 /small) || fail "no 503"
echo "   503 after $took ms (ping-interval 1 s)"
[ "$took" -lt 7000 ] || fail "too late"
undrop
took=$(wait_for 15 code 200 /small) || fail "not back"
echo "   back after $took ms"

echo "-- connections are killed: back within two seconds"
inside ss -K dport = :20443 >/dev/null 2>&1 || true
wait_for 5 grep -q "tunnel disconnected.*reset\|tunnel disconnected.*abort" "$folder/cloud.log" >/dev/null || grep "tunnel disc" "$folder/cloud.log"
took=$(wait_for 5 code 200 /small) || fail "not back"
echo "   back after $took ms"
[ "$took" -lt 2000 ] || fail "too late"

echo "-- packets of at most 1280 octets"
inside ip link set lo mtu 1280
inside curl -s -m 60 -x 127.0.0.1:20003 http://backend.test/large | cmp - "$folder/www/large" || fail "a transfer was damaged"
inside ip link set lo mtu 65536

echo "-- 8 Mbit/s, two downloads: small requests get through beside them"
inside tc qdisc add dev lo root tbf rate 8mbit burst 32kbit latency 200ms
for _ in 1 2; do
    inside curl -s -o /dev/null -m 20 -x 127.0.0.1:20003 http://backend.test/large &
    pids+=($!)
done
sleep 1
for _ in $(seq 5); do code 200 /small || fail "a small request starved"; done
inside tc qdisc del dev lo root

echo "-- the interface goes down and up ten times"
for _ in $(seq 10); do
    inside ip link set lo down
    inside ip link set lo up
done
wait_for 15 code 200 /small >/dev/null || fail "not back"

echo "-- 50 ms of delay each way: a download is faster than the first window allows"
cat >"$folder/delay.py" <<'X'
import asyncio
async def pipe(reader, writer):
    loop = asyncio.get_running_loop()
    while data := await reader.read(1 << 20):
        loop.call_later(0.05, writer.write, data)
    loop.call_later(0.05, writer.close)
async def serve(reader, writer):
    other = await asyncio.open_connection('127.0.0.1', 20443)
    await asyncio.gather(pipe(reader, other[1]), pipe(other[0], writer))
async def main():
    async with await asyncio.start_server(serve, '127.0.0.1', 20444) as server: await server.serve_forever()
asyncio.run(main())
X
start delay python3 delay.py
sed -i 's/localhost:20443/localhost:20444/' "$folder/connector.conf"
(cd "$folder" && inside "$program" reload --config connector.conf 2>/dev/null >/dev/null) || fail "reload"
wait_for 10 grep -q "tunnels replaced" "$folder/connector.log" >/dev/null || fail "no new tunnel"
speed=$(inside curl -s -o "$folder/copy" -m 60 -w '%{speed_download}' -x 127.0.0.1:20003 http://backend.test/large)
cmp "$folder/copy" "$folder/www/large" || fail "a transfer was damaged"
echo "   $((${speed%.*} / 1024)) KiB/s; a window of 256 KiB in 100 ms would be 2560"
[ "${speed%.*}" -gt $((2560 * 1024)) ] || fail "the window does not grow"
echo "the tunnel takes a bad network"
