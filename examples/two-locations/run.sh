#!/usr/bin/env bash
# Two Cloud Connectors of one subaccount, told apart by their location IDs.
source "$(dirname "$0")/../lib.sh"

start_cloud
start_server 3333 "Hello from Walldorf"
start_server 3334 "Hello from Berlin"
start_connector walldorf "walldorf" "$hello_world"
start_connector berlin "berlin" "${hello_world/127.0.0.1:3333/127.0.0.1:3334}"

say "The same virtual host, behind two connectors"
token=$(cloud token)
ask() {
    curl -sS -x localhost:20003 --proxy-header "Proxy-Authorization: Bearer $token" \
        --proxy-header "SAP-Connectivity-SCC-Location_ID: $1" http://internalhost:3333/hello
}
expect "Hello from Walldorf" ask walldorf
expect "Hello from Berlin" ask berlin
expect "There is no SAP Cloud Connector (SCC) connected" ask hamburg

say "A destination for each"
for location in walldorf berlin; do
    cloud destination create internalhost:3333 --location-id "$location" --name "HELLO_${location^^}"
done
cloud destination list
cloud destination show HELLO_BERLIN
expect "Resource is not accessible" cloud destination check HELLO_BERLIN
