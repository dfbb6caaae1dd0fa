#!/usr/bin/env bash
# Installs what is missing, builds, and runs the demonstration. Arguments go to `connectord demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/install-packages.sh
swift build --product connectord
exec .build/debug/connectord demo "$@"
