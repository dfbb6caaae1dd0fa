#!/usr/bin/env bash
# A Process Orchestration system with Integration Directory and ES Repository, both simulated, made both ways, with each failure.
source "$(dirname "$0")/../lib.sh"

# start_po PORT PATH: a system that demands its technical user and knows one path.
start_po() {
    python3 - "$1" "$2" >"$work/po-$1.log" 2>&1 <<'PYTHON' &
import base64, http.server, sys


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        expected = "Basic " + base64.b64encode(b"PIUSER:secret").decode()
        status = 401 if self.headers.get("Authorization") != expected else 200 if self.path in sys.argv[2].split() else 404
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Server)
print("listening", flush=True)
server.serve_forever()
PYTHON
    processes+=($!)
    wait_for listening "$work/po-$1.log"
}
directory=/IntegratedConfiguration750InService/IntegratedConfiguration750InImplBean
repository=/rep/read/ext
# mapping HOST PORT REST
mapping() { printf '  - {virtual-host: "%s:50000", internal-host: "127.0.0.1:%s", protocol: HTTP, back-end-type: PI, %s}\n' "$@"; }
add() { cloud po-system add "$@" --user PIUSER --location-id plant; }

start_cloud
start_po 3340 "$directory $repository"
start_po 3341 "$repository"
start_po 3342 "$directory"
start_connector connector plant "$(mapping pohost 3340 'resource-preset: process-orchestration'
    mapping esrhost 3341 'resource-preset: process-orchestration'
    mapping dironly 3342 'resource-preset: process-orchestration'
    mapping bare 3340 'resources: [{path: /other, access: path-only}]')"
echo secret >"$work/password"
echo wrong >"$work/wrong"

say "One system for both"
add P01 --address http://pohost:50000 --password-file "$work/password"
expect "ok  HEAD http://pohost:50000$repository  200: reached" cloud po-system test P01

say "A central ES Repository"
add P02 --address http://dironly:50000 --esr-address http://esrhost:50000 --password-file "$work/password"
expect "ok  HEAD http://dironly:50000$directory  200: reached" cloud po-system test P02

say "Made by hand, as destinations"
cloud destination show PO_P02_DIR --secrets | sed 's/P02/P03/g' >"$work/dir.properties"
cloud destination show PO_P02_ESR --secrets | sed 's/P02/P03/g' >"$work/esr.properties"
chmod 600 "$work"/*.properties
cloud destination import "$work/dir.properties" "$work/esr.properties"
expect "P03" cloud po-system list
expect "200: reached" cloud po-system test P03

say "Wrong password"
add WRONG --address http://pohost:50000 --password-file "$work/wrong"
expect "401: user or password is wrong" cloud po-system test WRONG

say "Wrong location ID"
cloud po-system add NOWHERE --address http://pohost:50000 --user PIUSER --password-file "$work/password" --location-id nowhere
expect 'no Cloud Connector with location ID "nowhere" is connected' cloud po-system test NOWHERE

say "Missing resource"
add BARE --address http://bare:50000 --password-file "$work/password"
expect "add resource-preset: process-orchestration to bare:50000" cloud po-system test BARE

say "Missing service: the ES Repository is elsewhere"
add ELSEWHERE --address http://dironly:50000 --password-file "$work/password"
expect "404: the service is missing in the system" cloud po-system test ELSEWHERE

say "Underscore in the address"
expect "has an underscore" add UNDERSCORE --address http://po_host:50000 --password-file "$work/password"
