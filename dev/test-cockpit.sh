#!/usr/bin/env bash
# The cockpit page in a real headless Chromium; leaves pictures of its states in .build/cockpit for people to look at.
# Needs chromium and its driver, and PYTHON with selenium (dev/test-clients.sh has one).
cd "$(dirname "${BASH_SOURCE[0]}")/.."
pictures=$PWD/.build/cockpit
tests=$PWD/Tests/Clients
source examples/lib.sh
mkdir -p "$pictures"

cockpit='cockpit: {listen: "127.0.0.1:20081"}' start_cloud
look() { timeout 120 "$PYTHON" "$tests/cockpit.py" "$1" "$pictures" http://localhost:20081/; }
say "Nobody is connected"
look empty

say "One is connected"
start_server 3333 "Hello World"
server=${processes[-1]}
start_connector connector "" "$hello_world"
printf 'Name=HELLO\nType=HTTP\nProxyType=OnPremise\nURL=http\\://internalhost\\:3333/hello\n' >"$work/hello.properties"
printf 'Name=TYPO\nType=HTTP\nProxyType=OnPremise\nURL=http\\://internalhst\\:3333/hello\n' >"$work/typo.properties"
cloud destination import "$work/hello.properties" "$work/typo.properties"
look connected

say "The internal host is gone"
kill "$server"
wait "$server" || true
"$connectord" check --config "$work/connector.conf" || true
look unreachable
