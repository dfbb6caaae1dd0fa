#!/usr/bin/env bash
# Feeds what comes from outside with octets that libFuzzer makes up, under the address sanitizer, and keeps what is worth keeping in
# Tests/Fuzz/Corpora, which the tests replay. An input that ends the process stays in .build/fuzz-corpora/TARGET.crash-… until it is a test.
#
#   dev/fuzz.sh                     each target for a minute
#   dev/fuzz.sh SECONDS [TARGET…]   these targets (all without any) for so long each
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
dev/install-packages.sh
CONNECTOR_FUZZ=1 swift build -c release --product connectord-fuzz --scratch-path .build/fuzz \
    -Xswiftc -enable-testing -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld
program=.build/fuzz/release/connectord-fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || read -ra targets < <("$program" 2>&1 | sed 's/.*targets: //') || true
status=0
for target in "${targets[@]}"; do
    folder=.build/fuzz-corpora/$target
    mkdir -p "$folder"
    dev/fuzz-corpus.py unpack "Tests/Fuzz/Corpora/$target.corpus" "$folder"
    dictionary=()
    [ ! -f "Tests/Fuzz/Dictionaries/$target.dict" ] || dictionary=(-dict="Tests/Fuzz/Dictionaries/$target.dict")
    echo "== $target for $seconds s"
    if ! ASAN_OPTIONS=detect_leaks=0 "$program" "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$folder." "${dictionary[@]}" "$folder" 2>"$folder.log"; then
        tail -30 "$folder.log"
        status=1
    fi
    grep -E "stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)" "$folder.log" || true
    rm -rf "$folder.min"
    mkdir -p "$folder.min"
    ASAN_OPTIONS=detect_leaks=0 "$program" "$target" -merge=1 -timeout=10 "$folder.min" "$folder" >/dev/null 2>&1 || true
    dev/fuzz-corpus.py pack "$folder.min" "Tests/Fuzz/Corpora/$target.corpus"
done
exit $status
