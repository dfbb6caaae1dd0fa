#!/usr/bin/env bash
# Runs the whole examples, and real clients against the built program: plain Node and Java, SAP's Cloud SDK for Python, Chromium,
# and a schema-driven test against SAP's OpenAPI document of the destination service. Needs node, java 17 and python 3.11.
#
#   dev/test-clients.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."
dev/client-tools.sh
CONNECTORD=$(realpath "${1:-.build/debug/connectord}")
venv=.build/clients
PYTHON=$(realpath -s $venv/bin/python)
export CONNECTORD PYTHON

for example in hello-world two-locations node java python-sdk action process-orchestration redis; do
    echo "== example $example"
    timeout 120 examples/$example/run.sh
done

echo "== SAP's Cloud SDK for Python, and SAP's OpenAPI document"
timeout 300 bash -c '
    source examples/lib.sh
    tests=$PWD/Tests/Clients
    start_cloud
    sed -i "s|directory: $work/api|&, tenants: [{subaccount: other, subdomain: tenant1}]|" "$work/cloud.conf"
    kill "${processes[0]}"
    wait "${processes[0]}" || true
    processes=()
    rm "$work/cloud.log"
    start_again() { "$connectord" cloud --config "$work/cloud.conf" 2>"$work/cloud.log" & processes+=($!); }
    start_again
    wait_for "connectivity service started" "$work/cloud.log"
    eval "$(cloud env --directory "$work/bindings")"
    cd "$work"
    OAUTHLIB_INSECURE_TRANSPORT=1 "$PYTHON" "$tests/python_sdk.py"
    token=$(cloud token --service destination)
    "$PYTHON" "$tests/schema.py" http://localhost:20080/destination-configuration "$token" >schema.log || { cat schema.log; exit 1; }
    tail -n 3 schema.log
'
echo "== a socket of a client of SAP's service"
timeout 60 bash -c '
    source examples/lib.sh
    tests=$PWD/Tests/Clients
    socks="socks: {listen: \"127.0.0.1:20004\"}" start_cloud
    start_server 3333 "Hello World"
    start_connector connector plant "  - {virtual-host: \"hello:80\", internal-host: \"127.0.0.1:3333\", protocol: TCP}"
    "$PYTHON" "$tests/sap_socket.py" 20004 "$(cloud token)" plant
'
echo "== WebSocket with Python, Node and Chromium"
timeout 120 bash -c '
    source examples/lib.sh
    tests=$PWD/Tests/Clients
    authorization=none proxy="connect: http" start_cloud
    start_connector connector "" "  - {virtual-host: \"ws.test:80\", internal-host: \"127.0.0.1:3333\", protocol: HTTP, resources: [
      {path: /ws, access: path-only, upgrade-allowed: true}, {path: /closed, access: path-only}]}"
    "$PYTHON" "$tests/upgrade.py" 20003 3333 ws.test "$tests/upgrade.js"
'
echo "== users at nginx, Java and Tomcat"
timeout 120 Tests/Clients/users/run.sh
echo "== the cockpit in Chromium"
timeout 300 dev/test-cockpit.sh
echo "== the administrators' page in Chromium"
timeout 400 dev/test-page.sh
echo "== suites and software of others"
timeout 600 dev/test-suites.sh "$CONNECTORD"
echo "real clients find what they expect"
