#!/usr/bin/env bash
# Starts everything, then the program with its bindings, and checks what it prints.
source "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)

start_hello_world

say "One line starts the program with its bindings"
eval "$(cloud env)"
expect '200 {"message": "Hello World"}' node "$here/app.js" HELLO
expect 'destination NOPE: 404 {"ErrorMessage":"Configuration with the specified name was not found"}' node "$here/app.js" NOPE
