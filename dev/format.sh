#!/usr/bin/env bash
# dev/format.sh -l   says what is not formatted as it should be
# dev/format.sh -f   formats
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
-l) swift format lint --strict --recursive --parallel Sources Tests Package.swift || {
        echo "Repair with: dev/format.sh -f" >&2
        exit 1
    } ;;
-f) swift format --in-place --recursive --parallel Sources Tests Package.swift ;;
*)
    echo "usage: dev/format.sh -l | -f" >&2
    exit 64
    ;;
esac
