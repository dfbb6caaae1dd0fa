#!/usr/bin/env bash
# A configuration of 100,000 mappings must load in under two seconds: two on a machine that counts to five million in awk within 0.3 s,
# and as much more as this one needs longer. The best of up to fifteen rounds counts, since machines are shared: one that is enough ends
# it, and what has become slower is so in all of them.
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
since() { echo $((($(date +%s%N) - $1) / 1000000)); }
best=999999
speed=999999
for _ in {1..15}; do
    start=$(date +%s%N)
    awk 'BEGIN { for (i = 0; i < 5000000; i++) x += i % 7 }'
    took=$(since "$start")
    [ "$took" -ge "$speed" ] || speed=$took
    start=$(date +%s%N)
    .build/release/connectord explain --config "$folder/many.conf" GET http://host99999.example:443/api/x >"$folder/out"
    took=$(since "$start")
    [ "$took" -ge "$best" ] || best=$took
    grep -q 'decision    allowed' "$folder/out"
    limit=$((speed > 300 ? 2000 * speed / 300 : 2000))
    if [ "$best" -lt "$limit" ]; then break; fi
done
echo "100,000 mappings loaded and one looked up in $best ms; the limit here is $limit ms"
[ "$best" -lt "$limit" ]
