#!/usr/bin/env bash
# Starts everything, then the program with its bindings, and checks what it prints.
source "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)

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

say "Bindings as files, as Kubernetes mounts them"
eval "$(cloud env --directory "$work/bindings")"
expect '200 {"message": "Hello World"}
200 {"message": "Hello World"}' java "$here/App.java" HELLO
expect 'destination NOPE: 404' java "$here/App.java" NOPE
