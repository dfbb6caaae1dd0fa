#!/usr/bin/env bash
# Everything that must hold before a change lands, quick things first.
#
#   dev/test.sh          lint, import fences, build, tests, package, systemd, a bad network, real clients, load time;
#                        then the tests again under the thread and the address sanitizer while there is time
#   dev/test.sh all      the sanitizers however long it takes
#   dev/test.sh quick    lint, import fences, build and tests only
set -euo pipefail
cd "$(dirname "$0")/.."
scope=${1:-}
dev/install-packages.sh

stage() { echo "== $* (after $SECONDS s)"; }

# Runs the tests, and repeats at the end what failed: the log is long. A suite that fails beside all others is run again
# alone, once: seven hundred tests on two cores now and then keep one from a time that it must hold, and what is broken
# fails alone as well. It is said, so that it can be looked into.
run_tests() {
    local log suites
    log=$(mktemp)
    if ! swift test "$@" 2>&1 | tee "$log"; then
        echo "== failed:"
        grep -aE -A4 '^✘|Sanitizer: |Fatal error| error: ' "$log" | cut -c -1000 | tail -n 80
        suites=$(sed -nE 's/^✘ Suite ([A-Za-z0-9]+) failed.*/\1/p' "$log" | sort -u | paste -sd '|')
        # Without a whole run's last line, the tests' process has ended.
        if [ -z "$suites" ] || ! grep -aq '^✘ Test run with' "$log" || grep -aq 'Sanitizer: ' "$log"; then return 1; fi
        stage "once more, alone: $suites"
        swift test "$@" --skip-build --no-parallel --filter "\.($suites)(/|\$)" || return 1
        echo "== NOTE: failed beside others, passed alone: $suites"
    fi
    rm -f "$log"
}

# A sanitizer's figures for memory and time are not the product's, so tests of these leave them out.
#   run_sanitized SANITIZER SECONDS OPTION TESTS: unless SECONDS have passed; TESTS alone (--filter) or without them (--skip).
run_sanitized() {
    local sanitizer=$1 limit=$2
    shift 2
    if [ "$scope" != all ] && [ "$SECONDS" -gt "$limit" ]; then
        stage "$sanitizer sanitizer SKIPPED: this machine is slow, see dev/test.sh all"
        return 0
    fi
    stage "$sanitizer sanitizer"
    # The leak checker reports the test harness itself.
    CONNECTOR_SANITIZER=1 CONNECTOR_TRANSFER_MIB=16 ASAN_OPTIONS=detect_leaks=0 \
        TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/dev/thread-sanitizer.supp" \
        run_tests --sanitize="$sanitizer" --scratch-path ".build/$sanitizer" "$@"
}

# What later stages need is fetched while the compiler works; all of that is waiting for others.
fetch() {
    for part in counts suites; do dev/install-packages.sh "$part"; done
    dev/install-packages.sh machine
    dev/machine.sh "$PWD/.build/package/machine"
    dev/client-tools.sh
}
fetched=$(mktemp)
fetching=
# Not where a password would be asked for in the middle of it.
if [ "$scope" != quick ] && [ "$(id -u)" -eq 0 ]; then
    (set -e; fetch) >"$fetched" 2>&1 &
    fetching=$!
fi

stage format
dev/format.sh -l
stage imports
dev/check-imports.sh
# The programs as they ship are built beside all that, with the time that it leaves: their compiler waits whenever anybody else
# wants the processor. In a folder of its own, since two builds in one folder wait for each other.
built=$(mktemp)
building=
if [ "$scope" != quick ]; then
    (exec chrt --idle 0 dev/build-release.sh .build/programs) >"$built" 2>&1 &
    building=$!
    trap 'kill "$building" 2>/dev/null || true' EXIT
fi
stage build
swift build --build-tests --explicit-target-dependency-import-check error
# Before the tests, some of which look at the clock. What is missing, its stage fetches again, and fails if it cannot.
if [ -n "$fetching" ]; then
    if wait "$fetching"; then
        # Servers that tests start are there now: whoever leaves one out fails.
        export CONNECTOR_ALL_TESTS=1
        ENVOY=$(realpath -s .build/clients/envoy)
        export ENVOY
    else
        echo "NOTE: not all that later stages need could be fetched:"
        tail -n 5 "$fetched"
    fi
fi
stage circles
dev/check-circles.py
stage test
run_tests --skip-build
[ "$scope" = quick ] && exit 0

stage release build
result=0
wait "$building" || result=$?
trap - EXIT
[ "$result" -eq 0 ] || { tail -n 50 "$built"; exit 1; }
stage package and systemd
# The packages are only looked at here; those that are given away are compressed.
export DPKG_DEB_COMPRESSOR_TYPE=none
if [ "$(id -u)" -eq 0 ]; then
    dev/install-packages.sh machine
    dev/test-package.sh .build/release
    dev/test-systemd.sh .build/release
    stage a bad network
    dev/test-network.sh .build/release/connectord
    stage what dies
    mode=
    if [ "$scope" = all ]; then mode=long; fi
    dev/test-cluster.sh .build/release/connectord $mode
else
    echo "SKIPPED: needs root"
fi
# Clients are mostly waited for, and instructions are the same on a busy machine.
dev/install-packages.sh counts
instructions=$(mktemp)
Benchmarks/counts.py --gate >"$instructions" 2>&1 &
gate=$!
# So are packages and images of other kinds.
packed=$(mktemp)
(set -e; dev/test-rpm.sh .build/release; dev/test-image.sh .build/release; dev/test-kubernetes.sh .build/release/connectord) >"$packed" 2>&1 &
packing=$!
stage real clients
dev/test-clients.sh .build/release/connectord
stage image, RPM and manifests
result=0
wait "$packing" || result=$?
cat "$packed"
[ "$result" -eq 0 ] || exit 1
stage instructions
result=0
wait "$gate" || result=$?
cat "$instructions"
[ "$result" -eq 0 ]
stage load of a hundred thousand mappings
dev/check-load-time.sh
# What has one thread has no races, and takes ten times as long.
run_sanitized thread 450 --skip 'SlowTests|FuzzReplayTests|DifferentialTests|PropertyTests|HostileRequestTests|OpenAPITests|SoakTests|MemoryTests'
# It knows the allocator's figures no more, and needs ten minutes of the 25 that there are: all of it where there is time, else what reads and
# writes memory by hand.
if [ "$scope" = all ]; then
    run_sanitized address 0 --skip 'SoakTests|MemoryTests|MemoryWatchTests'
else
    run_sanitized address 950 --filter \
        'TunnelCoreTests|CryptographyTests|EpollTransportTests|FuzzReplayTests|ForwardingTests|HostileRequestTests|WebSocketTests|TCPTests|PeerTests'
fi
stage done
