"""Does against the cloud side what the user guide of SAP's Cloud SDK for Python promises.

    SERVICE_BINDING_ROOT=… OAUTHLIB_INSECURE_TRANSPORT=1 python python_sdk.py

The service has two tenants, provider and tenant1.
"""

import base64
import pathlib
import os
import socket

import sap_cloud_sdk.destination as sdk
from sap_cloud_sdk.destination import (
    AccessStrategy, Certificate, ConsumptionLevel, ConsumptionOptions, Destination, DestinationConfig, Fragment, Label,
    Level, ListOptions, PatchLabels,
)

# Names below localhost, of which the SDK makes one for each tenant, are not resolved on every system.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: resolve(
    "127.0.0.1" if str(host).endswith(".localhost") else host, *more, **named
)


def binding(key):
    return (pathlib.Path(os.environ["SERVICE_BINDING_ROOT"]) / "destination" / key).read_text(encoding="utf-8")


port = binding("url").rsplit(":", 1)[1]
config = DestinationConfig(
    url=binding("uri"),
    token_url=f"http://{binding('identityzone')}.localhost:{port}/oauth/token",
    client_id=binding("clientid"),
    client_secret=binding("clientsecret"),
    identityzone=binding("identityzone"),
)
client = sdk.create_client(config=config)
fragments = sdk.create_fragment_client(config=config)
certificates = sdk.create_certificate_client(config=config)


def check(what, is_true):
    print("ok" if is_true else "FAILED", what)
    if not is_true:
        raise SystemExit(1)


def fails(action):
    try:
        action()
    except Exception as error:  # The SDK has one class for each client.
        return str(error)
    return ""


erp = Destination(
    name="ERP", type="HTTP", url="http://virtual-host:8000", proxy_type="OnPremise",
    authentication="BasicAuthentication",
    properties={"User": "u", "Password": "p", "CloudConnectorLocationId": "loc1", "sap-client": "100", "URL.headers.x-a": "1"},
)
client.create_destination(erp)
check("a destination that exists is not created again", "409" in fails(lambda: client.create_destination(erp)))
found = client.get_destination("ERP")
check("it is found with its properties", found.url == erp.url and found.properties["sap-client"] == "100")
expected = "Basic " + base64.b64encode(b"u:p").decode()
check("with a token for its backend", found.auth_tokens[0].http_header["value"] == expected)
headers = found.get_headers()
check("whose headers are ready for use", headers["Authorization"] == expected and headers["x-a"] == "1")
check("what is not there is None", client.get_destination("nope") is None)
check("nor there on another level", client.get_destination("ERP", level=ConsumptionLevel.INSTANCE) is None)

client.create_destination(Destination(name="ERP", type="HTTP", url="http://instance"), level=Level.SERVICE_INSTANCE)
check("the instance comes first", client.get_destination("ERP").url == "http://instance")
level = ConsumptionLevel.SUBACCOUNT
check("unless the level is named", client.get_destination("ERP", level=level).url == erp.url)
client.delete_destination("ERP", level=Level.SERVICE_INSTANCE)

fragments.create_fragment(Fragment(name="f1", properties={"URL": "http://fragment"}), level=Level.SUB_ACCOUNT)
options = ConsumptionOptions(fragment_name="f1")
check("a fragment wins", client.get_destination("ERP", level=level, options=options).url == "http://fragment")
options = ConsumptionOptions(fragment_name="f2", fragment_optional=True)
check("an optional one may be missing", client.get_destination("ERP", level=level, options=options).url == erp.url)
options = ConsumptionOptions(fragment_name="f1", fragment_optional=True, tenant="tenant1", user_token="t")
check("headers for other authentication types do no harm", client.get_destination("ERP", options=options) is not None)
check("fragments are listed", [item.name for item in fragments.list_subaccount_fragments(AccessStrategy.PROVIDER_ONLY)] == ["f1"])

certificates.create_certificate(Certificate(name="a.pem", content="QUJD", type="PEM"), level=Level.SUB_ACCOUNT)
certificate = certificates.get_subaccount_certificate("a.pem", access_strategy=AccessStrategy.PROVIDER_ONLY)
check("a certificate comes back as it was", (certificate.content, certificate.type) == ("QUJD", "PEM"))

client.update_destination_labels("ERP", [Label(key="env", values=["prod"])])
client.patch_destination_labels("ERP", PatchLabels(action="ADD", labels=[Label(key="team", values=["x"])]))
check("labels are kept", {label.key for label in client.get_destination_labels("ERP")} == {"env", "team"})
client.create_destination(Destination(name="CRM", type="HTTP", url="http://crm"))


def listed(**options):
    result = client.list_subaccount_destinations(AccessStrategy.PROVIDER_ONLY, filter=ListOptions(**options))
    return [item.name for item in result.items], result.pagination


check("a filter by name", listed(filter_names=["ERP", "o'x"])[0] == ["ERP"])
check("a filter by label", listed(filter_labels=[Label(key="env", values=["prod"])])[0] == ["ERP"])
names, pagination = listed(page=1, page_size=1, page_count=True, entity_count=True)
check("pages with their count and a link", names == ["CRM"] and (pagination.entity_count, pagination.page_count) == (2, 2) and pagination.next_page_url)

client.create_destination(Destination(name="SUB", type="HTTP", url="http://sub"), tenant="tenant1")


def visible(strategy, name):
    return client.get_subaccount_destination(name, access_strategy=strategy, tenant="tenant1")


check("a subscriber has its own", visible(AccessStrategy.SUBSCRIBER_FIRST, "SUB").url == "http://sub")
check("and the provider's after it", visible(AccessStrategy.SUBSCRIBER_FIRST, "ERP").url == erp.url)
check("but the provider not the subscriber's", visible(AccessStrategy.PROVIDER_ONLY, "SUB") is None)

erp.url = "http://changed"
client.update_destination(erp)
check("a change is seen at once", client.get_destination("ERP").url == "http://changed")
for name in ("ERP", "CRM"):
    client.delete_destination(name)
check("what is deleted is gone", client.get_destination("ERP") is None)
check("and cannot be deleted again", "404" in fails(lambda: client.delete_destination("ERP")))
