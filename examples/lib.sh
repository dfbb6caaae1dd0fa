# What the examples share: a cloud side, connectors and internal systems, each a process of its own, all gone at the end.
# Sourced by the run.sh of each example; needs bash, curl and python3.
set -euo pipefail

connectord=${CONNECTORD:-connectord}
work=$(mktemp -d)
processes=()

stop_all() {
    local status=$?
    for pid in "${processes[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ "$status" -ne 0 ]; then tail -n 20 "$work"/*.log >&2 || true; fi
    rm -rf "$work"
}
trap stop_all EXIT

say() { printf '\n-- %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# wait_for TEXT FILE: until the text is in the file.
wait_for() {
    for _ in $(seq 300); do
        if grep -q "$1" "$2" 2>/dev/null; then return 0; fi
        sleep 0.1
    done
    fail "no \"$1\" in $2"
}

# expect TEXT COMMAND...: the command's output has the text.
expect() {
    local text=$1 output
    shift
    output=$("$@" 2>&1) || true
    printf '%s\n' "$output"
    [[ "$output" == *"$text"* ]] || fail "\"$text\" was expected"
}

start_cloud() {
    cat >"$work/cloud.conf" <<CONF
subaccount: 3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10
proxy: {listen: "127.0.0.1:20003", authorization: ${authorization:-token}${proxy:+, $proxy}}
tunnel: {listen: "127.0.0.1:20443"}
api: {listen: "127.0.0.1:20080", directory: $work/api${api:+, $api}}
enrolment: {authority: $work/authority, service-names: ["127.0.0.1"]}
${cockpit:-}
${socks:-}
admin: {socket: $work/cloud.sock}
CONF
    "$connectord" cloud --config "$work/cloud.conf" 2>"$work/cloud.log" &
    processes+=($!)
    wait_for "connectivity service started" "$work/cloud.log"
}

# Commands for the cloud side that was started.
cloud() { "$connectord" "$@" --config "$work/cloud.conf"; }

# start_connector NAME LOCATION SYSTEMS: with enrolment, as on a machine of its own.
start_connector() {
    local name=$1 location=$2 token
    cat >"$work/$name.conf" <<CONF
subaccount: 3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10
location-id: "$location"
tunnel:
  service: 127.0.0.1:20443
  certificate: $work/$name/connector.pem
  private-key: $work/$name/connector.key
  trusted-ca: $work/$name/service-ca.pem
systems:
$3
admin: {socket: $work/$name.sock, ${administration:-listen: "off"}}
CONF
    mkdir -p "$work/$name"
    token=$(cloud enrol create --subaccount 3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10 --location-id "$location" 2>/dev/null | head -1)
    "$connectord" enrol "$token" --config "$work/$name.conf" >/dev/null
    "$connectord" run --config "$work/$name.conf" 2>"$work/$name.log" &
    processes+=($!)
    wait_for "tunnel connected" "$work/$name.log"
}

# start_server PORT TEXT: the internal system: GET /hello answers {"message": TEXT}, everything else 404.
start_server() {
    python3 - "$1" "$2" >"$work/server-$1.log" 2>&1 <<'PYTHON' &
import http.server, json, sys


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = self.path.split("?")[0] == "/hello"
        body = json.dumps({"message": sys.argv[2]} if found else {"error": "not found"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Server)
print("listening", flush=True)
server.serve_forever()
PYTHON
    processes+=($!)
    wait_for listening "$work/server-$1.log"
}

hello_world='  - virtual-host: internalhost:3333
    internal-host: 127.0.0.1:3333
    protocol: HTTP
    resources: [{path: /hello, access: path-only}]'

# The whole path to the Hello World server, and a destination HELLO with its URL.
start_hello_world() {
    start_cloud
    start_server 3333 "Hello World"
    start_connector connector "" "$hello_world"
    cloud destination create internalhost:3333 --name HELLO
    cloud destination show HELLO --format json | python3 -c '
import json, sys
destination = json.load(sys.stdin)
destination["URL"] += "/hello"
json.dump(destination, sys.stdout)' >"$work/HELLO.json"
    cloud destination import "$work/HELLO.json" --replace
}
