#!/usr/bin/env bash
# The Hello World of SAP's blog: a server on localhost:3333, exposed as internalhost:3333, called through a destination.
source "$(dirname "$0")/../lib.sh"

cockpit='cockpit: {listen: "127.0.0.1:20081"}' start_cloud
say "No Cloud Connector is connected yet"
cat >"$work/hello.properties" <<'PROPERTIES'
#
Type=HTTP
Name=ON_PREM_HELLO_WORLD
URL=http\://internalhost\:3333/hello
ProxyType=OnPremise
Authentication=NoAuthentication
sap.processautomation.enabled=true
sap.applicationdevelopment.actions.enabled=true
PROPERTIES
cloud destination import "$work/hello.properties"
expect "Backend status could not be determined." cloud destination check ON_PREM_HELLO_WORLD

say "Connected, but nothing is exposed"
start_connector connector "" "  []"
expect "Backend is not available in the list of defined system mappings in Cloud Connector." \
    cloud destination check ON_PREM_HELLO_WORLD

say "The system is exposed without its path, and the server is down"
reload() {
    python3 - "$work/connector.conf" "$1" <<'PYTHON'
import re, sys
text = open(sys.argv[1]).read()
text = re.sub(r"systems:\n.*?\nadmin:", lambda _: "systems:\n" + sys.argv[2] + "\nadmin:", text, flags=re.S)
open(sys.argv[1], "w").write(text)
PYTHON
    "$connectord" reload --config "$work/connector.conf"
}
reload "${hello_world/\/hello/\/other}"
expect "Resource is not accessible in Cloud Connector or backend is not reachable." \
    cloud destination check ON_PREM_HELLO_WORLD
reload "$hello_world"
expect "Backend is not reachable from Cloud Connector." cloud destination check ON_PREM_HELLO_WORLD

say "The server is up: the check is green"
start_server 3333 "Hello World"
expect 'established. Response returned: "200: OK"' cloud destination check ON_PREM_HELLO_WORLD

say "A program's way: a token for each service, the destination, and the request through the proxy"
destination=$(curl -fsS -H "Authorization: Bearer $(cloud token --service destination)" \
    http://localhost:20080/destination-configuration/v1/destinations/ON_PREM_HELLO_WORLD)
url=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["destinationConfiguration"]["URL"])' <<<"$destination")
expect '{"message": "Hello World"}' \
    curl -sS -x localhost:20003 --proxy-header "Proxy-Authorization: Bearer $(cloud token)" "$url"

say "What the cockpit shows"
expect '"host":"internalhost:3333"' curl -sS http://localhost:20081/api/state
