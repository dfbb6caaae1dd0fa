#!/usr/bin/env bash
# Installs the Debian packages that building, running and testing need, if any is missing.
#
#   dev/install-packages.sh            what the build and the tests need
#   dev/install-packages.sh clients    and what the real clients of the tests need
#   dev/install-packages.sh suites     and what internal hosts and clients of others need
#   dev/install-packages.sh benchmark  and what the benchmark needs
#   dev/install-packages.sh counts     and what counting instructions needs
#   dev/install-packages.sh machine    and what the tests of the package, its units and the network need
set -euo pipefail

packages=(libssl-dev libnghttp2-dev libyaml-dev libkrb5-dev libpq-dev zlib1g-dev libexpat1-dev pkg-config curl)
# For processors that have wide AES instructions (docs/decisions/0040).
[ "$(dpkg --print-architecture)" != amd64 ] || packages+=(libipsec-mb-dev)
# Only what is not there from elsewhere: a machine may have nothing but the Swift toolchain.
for pair in python3:python3 openssl:openssl cc:gcc; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
done
if [ "${1:-}" = machine ]; then packages+=(debootstrap systemd-container iproute2 nftables rpm python3); fi
if [ "${1:-}" = clients ]; then
    packages+=(chromium chromium-driver fonts-dejavu-core redis-server nginx-light libtomcat10-embed-java)
    # Only what is not there from elsewhere.
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
    for pair in node:nodejs java:default-jdk-headless; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
    done
fi
if [ "${1:-}" = suites ]; then
    packages+=(nginx-light lighttpd apache2-bin wget busybox)
    # A database, a Kerberos realm, and a server of it.
    packages+=(postgresql)
    packages+=(krb5-kdc krb5-kdc-ldap krb5-admin-server slapd ldap-utils libapache2-mod-auth-gssapi)
fi
if [ "${1:-}" = counts ]; then packages+=(nginx-light python3 valgrind); fi
if [ "${1:-}" = benchmark ]; then packages+=(wrk nginx-light python3 valgrind); fi

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
"${sudo[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
