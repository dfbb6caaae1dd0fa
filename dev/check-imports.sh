#!/usr/bin/env bash
# What a file may import that the package's targets do not say. Package.swift lists what each target may use of ours and of
# others, and the build fails on anything else; this adds the system's modules, and the folders of TunnelCore.
set -euo pipefail
cd "$(dirname "$0")/../Sources"

status=0
# only MODULE FOLDER...: imported below these folders and nowhere else.
only() {
    local module=$1 file folder allowed
    shift
    while read -r file; do
        allowed=
        for folder in "$@"; do [[ "$file" == "$folder"/* ]] && allowed=yes; done
        [ -n "$allowed" ] && continue
        echo "$file: $module may be imported below $* only" >&2
        status=1
    done < <(grep -rlE "^[a-z@ ]*import $module$" --include='*.swift' . | sed 's|^\./||')
}
# never FOLDER MODULE...: not imported below this folder.
never() {
    local folder=$1 module
    shift
    for module in "$@"; do
        if grep -rnE "^[a-z@ ]*import $module$" --include='*.swift' "$folder"; then
            echo "$module must not be imported below $folder" >&2
            status=1
        fi
    done
}

# Slow to start, and another view of strings: for JSON alone.
only Foundation
only FoundationEssentials JSON
# C stays where it is wrapped.
only COpenSSL Cryptography
only CIPSecMB Cryptography/RecordCipher
only CNghttp2 TunnelCore/HTTP2
only CYaml YAMLDocument
only CExpat XMLDocument
only CZlib TextFormats
only CGlibc HostSystem
# Decided without sockets, threads and clocks.
never AccessPolicy Glibc Synchronization Dispatch
never TextFormats Glibc Synchronization Dispatch
never ControlProtocol Glibc Synchronization Dispatch
never ConfigurationEditing Glibc Synchronization Dispatch
never AdminProtocol Glibc Synchronization Dispatch
never TunnelCore Synchronization Dispatch NIOPosix
never TunnelCore/HTTP1 NIOCore
never TunnelCore/Reconnect NIOCore
exit $status
