#!/usr/bin/env bash
# Who may import whom: reads the import lines of each folder against the list below (docs/internals.md says why).
set -euo pipefail
cd "$(dirname "$0")/../Sources"

status=0
# check FOLDER MODULE...: every import below FOLDER is one of the modules.
check() {
    local folder=$1
    shift
    local allowed
    allowed=$(printf '%s|' "$@")
    while IFS=: read -r file line text; do
        local module
        module=$(sed -E 's/.*import +(struct +|class +|enum +|func +)?([A-Za-z0-9_]+).*/\2/' <<<"$text")
        if [[ "|$allowed" != *"|$module|"* ]]; then
            echo "$file:$line: $module must not be imported here" >&2
            status=1
        fi
    done < <(grep -rnE '^[a-z@ ]*import [A-Za-z]' --include='*.swift' "$folder" || true)
}

check AccessPolicy
check TunnelCore/HTTP1 Glibc
check TunnelCore/HTTP2 NIOCore CNghttp2
check TunnelCore/TLS NIOCore COpenSSL
check TunnelCore/Connection NIOCore Glibc
check TunnelCore/Reconnect
check ControlProtocol FoundationEssentials
check Telemetry TunnelCore ControlProtocol Logging Tracing Synchronization Dispatch Glibc
check Tokens TunnelCore ControlProtocol Telemetry Synchronization Glibc
check YAMLDocument CYaml
check OpenAPI ControlProtocol YAMLDocument
check Destinations TunnelCore ControlProtocol Telemetry YAMLDocument Synchronization Glibc
check ConnectivityService AccessPolicy TunnelCore ControlProtocol Telemetry Tokens NIOCore NIOPosix Logging Tracing Synchronization \
    Glibc
check ConnectorDaemon AccessPolicy TunnelCore ControlProtocol Telemetry Tokens Destinations ConnectivityService NIOCore NIOPosix NIOHTTP1 Logging Tracing ArgumentParser \
    YAMLDocument OpenAPI CMalloc Synchronization Glibc Dispatch
# C stays where it is wrapped.
for pair in COpenSSL:TunnelCore/TLS CNghttp2:TunnelCore/HTTP2 CYaml:YAMLDocument \
    CMalloc:ConnectorDaemon/App; do
    module=${pair%%:*}
    if grep -rlE "import $module" --include='*.swift' . | grep -v "^\./${pair#*:}/"; then
        echo "$module may be imported below ${pair#*:} only" >&2
        status=1
    fi
done
exit $status
