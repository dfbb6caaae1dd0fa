#!/usr/bin/env bash
# The administrators' page in a real headless Chromium, as a newcomer uses it; leaves pictures of its states in .build/page for
# people to look at. Then two hundred changes by API, page and hand under load, and a second machine that is set up from its page. Needs chromium and its driver, openssl, and PYTHON
# with selenium (dev/test-clients.sh has one).
cd "$(dirname "${BASH_SOURCE[0]}")/.."
pictures=$PWD/.build/page
tests=$PWD/Tests/Clients
source examples/lib.sh
mkdir -p "$pictures"

start_cloud
start_server 3333 "Hello World"
administration='listen: "127.0.0.1:20444", directory: '"$work/admin" start_connector connector "" "$hello_world"
printf 'audit: {directory: %s/audit}\nregion-host: cf.example.com\n' "$work" >>"$work/connector.conf"
kill "${processes[-1]}"
wait "${processes[-1]}" || true
unset 'processes[-1]'
"$connectord" run --config "$work/connector.conf" 2>"$work/connector.log" &
first=$!
processes+=("$first")
wait_for "tunnel connected" "$work/connector.log"
wait_for "administration served" "$work/connector.log"

say "From the first login to an undone change"
code=$("$connectord" admin password --config "$work/connector.conf" 2>/dev/null)
timeout 120 "$PYTHON" "$tests/page.py" https://localhost:20444/ "$code" "$pictures" 20003 "$(cloud token)"

say "Changes by API, page and hand in turn, under load"
timeout 200 "$PYTHON" "$tests/administration.py" 20444 20003 "$(cloud token)" "$work/connector.conf"
"$connectord" audit verify "$work/audit"

say "A second machine, from nothing but the page: enrol, expose, check, learn, accept, restore"
mkdir "$work/second"
printf 'admin: {listen: "127.0.0.1:20445", socket: %s/second.sock, directory: %s/second/admin}\n' "$work" "$work" >"$work/second/connector.conf"
"$connectord" run --config "$work/second/connector.conf" 2>"$work/second.log" &
processes+=($!)
wait_for "administration served" "$work/second.log"
token=$(cloud enrol create --subaccount 3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10 --location-id second 2>/dev/null | head -1)
second=$("$connectord" admin password --socket "$work/second.sock" 2>/dev/null)
curl -sk -u "Administrator:correct horse battery" -H 'Content-Type: application/json' -d '{"password":"of the backup"}' \
    -o "$work/backup.zip" https://localhost:20444/api/v1/configuration/backup
# The first machine is gone, and its address free for what is restored.
kill "$first"
wait "$first" || true
timeout 120 "$PYTHON" "$tests/newcomer.py" https://localhost:20445/ "$second" "$pictures" "$token" "$work/backup.zip" https://localhost:20444/
