#!/usr/bin/env bash
# Builds .build/release/connectord: the Swift runtime inside, and no dynamic exclusivity checks (they stay on in tests).
set -euo pipefail
cd "$(dirname "$0")/.."
dev/install-packages.sh
swift build -c release --product connectord --static-swift-stdlib -Xswiftc -enforce-exclusivity=unchecked
