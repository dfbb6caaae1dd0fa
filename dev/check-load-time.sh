#!/usr/bin/env bash
# A configuration of 100,000 mappings must load in under two seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
    echo 'subaccount: s'
    echo 'tunnel: {service: "h:1", certificate: /dev/null, private-key: /dev/null, trusted-ca: /dev/null}'
    echo 'systems:'
    for ((i = 0; i < 100000; i++)); do
        printf '  - virtual-host: host%d.example:443\n    internal-host: 10.0.0.1:80\n    protocol: HTTP\n' "$i"
        printf '    resources:\n      - path: /api/\n        access: path-and-sub-paths\n'
    done
} >"$folder/many.conf"
start=$(date +%s%N)
.build/release/connectord explain --config "$folder/many.conf" GET http://host99999.example:443/api/x >"$folder/out"
milliseconds=$((($(date +%s%N) - start) / 1000000))
grep -q 'decision    allowed' "$folder/out"
echo "100,000 mappings loaded and one looked up in $milliseconds ms"
[ "$milliseconds" -lt 2000 ]
