#!/usr/bin/env bash
# Builds .build/release/connectord and connectord-connector: the Swift runtime inside, and no dynamic exclusivity checks
# (they stay on in tests). dev/build-release.sh [FOLDER], with what is built; .build/release leads there.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/install-packages.sh
folder=${1:-.build}
for product in connectord connectord-connector; do
    swift build -c release --scratch-path "$folder" --product "$product" --static-swift-stdlib -Xswiftc -enforce-exclusivity=unchecked
done
if [ "$folder" != .build ]; then
    rm -rf .build/release
    ln -s "$(realpath "$folder")/release" .build/release
fi
