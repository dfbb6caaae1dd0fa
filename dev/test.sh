#!/usr/bin/env bash
# Everything that must hold before a change lands, quick things first.
#
#   dev/test.sh          lint, import fences, build, tests, then the tests again under the thread and the address sanitizer
#   dev/test.sh quick    without the sanitizers
set -euo pipefail
cd "$(dirname "$0")/.."
dev/install-packages.sh

echo "== format"
dev/format.sh -l
echo "== imports"
dev/check-imports.sh
echo "== build and test"
swift build --build-tests --explicit-target-dependency-import-check error
swift test --skip-build
[ "${1:-}" = quick ] && exit 0

# The sanitizers' figures for memory and time are not the product's.
export CONNECTOR_SANITIZER=1 CONNECTOR_TRANSFER_MIB=16
echo "== thread sanitizer"
TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/dev/thread-sanitizer.supp" swift test --sanitize=thread --scratch-path .build/thread
echo "== address sanitizer"
# The leak checker reports the test harness itself.
ASAN_OPTIONS=detect_leaks=0 swift test --sanitize=address --scratch-path .build/address
echo "== release build"
dev/build-release.sh
echo "== package and systemd"
if [ "$(id -u)" -eq 0 ]; then
    dev/install-packages.sh machine
    dev/test-package.sh .build/release/connectord
    dev/test-systemd.sh .build/release/connectord
    echo "== a bad network"
    dev/test-network.sh .build/release/connectord
else
    echo "SKIPPED: needs root"
fi
echo "== load of a hundred thousand mappings"
dev/check-load-time.sh
