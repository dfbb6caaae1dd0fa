#!/usr/bin/env bash
# Builds .build/release/connectord and connectord-connector: the Swift runtime inside, and no dynamic exclusivity checks
# (they stay on in tests).
set -euo pipefail
cd "$(dirname "$0")/.."
dev/install-packages.sh
for product in connectord connectord-connector; do
    swift build -c release --product "$product" --static-swift-stdlib -Xswiftc -enforce-exclusivity=unchecked
done
