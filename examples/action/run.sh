#!/usr/bin/env bash
# The action of SAP's blog, from the server on localhost:3333 to the message that becomes the subject of a form, with each failure
# that can happen on the way.
source "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
test_action() { cloud action test --destination "$1" --spec "$here/hello.yaml" --operation hello; }

start_cloud
start_connector connector "" "$hello_world"
cloud destination create internalhost:3333 --name ON_PREM_HELLO_WORLD
say "Not every destination is offered to actions"
expect "ON_PREM_HELLO_WORLD is not offered to actions: add sap.processautomation.enabled=true" test_action ON_PREM_HELLO_WORLD
cloud destination create internalhost:3333 --name ON_PREM_HELLO_WORLD --actions --replace
expect "http://internalhost:3333" cloud action list

say "The server is down"
expect "refused by backend (connect): connection refused" test_action ON_PREM_HELLO_WORLD

say "The host of the destination is misspelt"
cloud destination show ON_PREM_HELLO_WORLD | sed 's/internalhost/internalhst/; s/ON_PREM_HELLO_WORLD/TYPO/' >"$work/typo.properties"
cloud destination import "$work/typo.properties"
expect "refused by policy (system): system not exposed" test_action TYPO

say "No connector has this location ID"
{ cloud destination show ON_PREM_HELLO_WORLD | sed 's/ON_PREM_HELLO_WORLD/ELSEWHERE/'; echo "CloudConnectorLocationId=elsewhere"; } \
    >"$work/elsewhere.properties"
cloud destination import "$work/elsewhere.properties"
expect "refused by tunnel (tunnel): no connector is connected" test_action ELSEWHERE

say "The path is not exposed"
{ cloud destination show ON_PREM_HELLO_WORLD | sed 's/ON_PREM_HELLO_WORLD/DEEPER/; s|:3333|:3333/deeper|'; } >"$work/deeper.properties"
cloud destination import "$work/deeper.properties"
expect "refused by policy (resource)" test_action DEEPER

say "The payload is not what the description says"
start_server 3333 ""
sed 's/required: \[message\]/required: [message, subject]/' "$here/hello.yaml" >"$work/stricter.yaml"
expect "hello: /subject: expected a value, found nothing: the field is missing" \
    cloud action test --destination ON_PREM_HELLO_WORLD --spec "$work/stricter.yaml" --operation hello
kill "${processes[-1]}"
wait "${processes[-1]}" || true
rm "$work/server-3333.log"

say "All is well: the message is picked, by a destination whose name is a variable"
start_server 3333 "Hello World"
expect "ok       as hello is described" test_action ON_PREM_HELLO_WORLD
DESTINATION=ON_PREM_HELLO_WORLD
eval "$(cloud action run --destination "$DESTINATION" --spec "$here/hello.yaml" --operation hello --output subject=/message)"
echo "The subject of the form: $subject"
[ "$subject" = "Hello World" ]

say "The whole description, for CI"
expect "1 good, 0 failed, 0 skipped" cloud action test --destination "$DESTINATION" --spec "$here/hello.yaml" --junit "$work/junit.xml"
cat "$work/junit.xml"
