"""SAP's Cloud SDK for Python: finds a destination and calls the system behind it through the connectivity proxy.

    SERVICE_BINDING_ROOT=… python app.py DESTINATION PATH
"""

import os
import pathlib
import sys

import requests
from sap_cloud_sdk.destination import ConsumptionLevel, DestinationHttpClient, create_client


def connectivity(key):
    return (pathlib.Path(os.environ["SERVICE_BINDING_ROOT"]) / "connectivity" / key).read_text(encoding="utf-8")


def connectivity_token():
    form = {
        "grant_type": "client_credentials",
        "client_id": connectivity("clientid"),
        "client_secret": connectivity("clientsecret"),
    }
    answer = requests.post(connectivity("token_service_url") + "/oauth/token", data=form, timeout=10)
    answer.raise_for_status()
    return answer.json()["access_token"]


def main(name, path):
    destination = create_client().get_destination(name, level=ConsumptionLevel.SUBACCOUNT)
    if destination is None:
        sys.exit(f"there is no destination {name}")
    proxy = f"http://{connectivity('onpremise_proxy_host')}:{connectivity('onpremise_proxy_http_port')}"
    headers = {"Proxy-Authorization": f"Bearer {connectivity_token()}"}
    location = destination.properties.get("CloudConnectorLocationId")
    if location:
        headers["SAP-Connectivity-SCC-Location_ID"] = location
    with DestinationHttpClient(destination) as client:
        answer = client.request("GET", path, proxies={"http": proxy}, headers=headers)
    print(answer.status_code, answer.text)


main(*sys.argv[1:])
