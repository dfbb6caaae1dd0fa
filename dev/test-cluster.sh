#!/usr/bin/env bash
# Services, connectors and databases that die, one after the other, under load; each on a machine of its own, which are network
# namespaces. Needs root, iproute2, nftables, PostgreSQL's server programs and openssl.
#
#   dev/test-cluster.sh [PROGRAM] [long]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -x /usr/lib/postgresql/15/bin/postgres ]; then dev/install-packages.sh suites; fi
exec python3 Tests/Failures/cluster.py "$(realpath "${1:-.build/debug/connectord}")" "${@:2}"
