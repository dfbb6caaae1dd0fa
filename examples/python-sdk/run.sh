#!/usr/bin/env bash
# SAP's Cloud SDK for Python against the cloud side. PYTHON is one that has the package sap-cloud-sdk (3.11 or newer).
source "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
# The SDK wants https for tokens unless it is told that this is a test.
export OAUTHLIB_INSECURE_TRANSPORT=1

start_cloud
start_server 3333 "Hello World"
start_connector connector "" "$hello_world"
cloud destination create internalhost:3333 --name HELLO

say "The SDK reads its binding from files"
eval "$(cloud env --directory "$work/bindings")"
cd "$work"
expect '200 {"message": "Hello World"}' "$python" "$here/app.py" HELLO /hello
expect "there is no destination NOPE" "$python" "$here/app.py" NOPE /hello
