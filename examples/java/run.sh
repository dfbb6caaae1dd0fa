#!/usr/bin/env bash
# Starts everything, then the program with its bindings, and checks what it prints.
source "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)

start_hello_world

say "Bindings as files, as Kubernetes mounts them"
eval "$(cloud env --directory "$work/bindings")"
expect '200 {"message": "Hello World"}
200 {"message": "Hello World"}' java "$here/App.java" HELLO
expect 'destination NOPE: 404' java "$here/App.java" NOPE
