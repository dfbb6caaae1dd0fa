"""Users of two identity providers at nginx, Java and Tomcat, and nobody for wrong tokens.

    users.py files FOLDER SUBACCOUNT     certificates and keys of the providers and of the internal hosts
    users.py ask FOLDER SUBACCOUNT PROXY     the requests
"""

import base64
import concurrent.futures
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import sys
import time

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import pkcs12

action, folder, subaccount = sys.argv[1:4]
issuers = {"corporate": "https://corporate.test/oauth/token", "partner": "https://partner.test"}


def check(what, is_true):
    print("ok" if is_true else "FAILED", what)
    if not is_true:
        raise SystemExit(1)


def text(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value, size):
    return text(value.to_bytes(size, "big"))


def private(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def write(name, octets):
    with open(f"{folder}/{name}", "wb") as file:
        file.write(octets)


def load(name):
    with open(f"{folder}/{name}", "rb") as file:
        return serialization.load_pem_private_key(file.read(), None)


def server_certificate():
    """Signed by itself, for localhost; as PEM for nginx and the connector, as PKCS #12 for Java."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(minutes=5)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    write("server.pem", certificate.public_bytes(serialization.Encoding.PEM))
    write("server.key", private(key))
    encryption = serialization.BestAvailableEncryption(b"secret")
    write("server.p12", pkcs12.serialize_key_and_certificates(b"server", key, certificate, None, encryption))


def java_trust():
    with open(f"{folder}/system.pem", "rb") as file:
        system = x509.load_pem_x509_certificate(file.read())
    entry = pkcs12.PKCS12Certificate(system, b"system")
    write("system.p12", pkcs12.serialize_java_truststore([entry], serialization.BestAvailableEncryption(b"secret")))


def files():
    server_certificate()
    java_trust()
    corporate = rsa.generate_private_key(65537, 2048)
    partner = ec.generate_private_key(ec.SECP256R1())
    write("corporate.key", private(corporate))
    write("partner.key", private(partner))
    numbers = corporate.public_key().public_numbers()
    write("corporate.json", json.dumps({"keys": [
        {"kty": "RSA", "kid": "c1", "n": number(numbers.n, 256), "e": number(numbers.e, 3)}]}).encode())
    numbers = partner.public_key().public_numbers()
    write("partner.json", json.dumps({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": "p1", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}]}).encode())


def sign(key, octets):
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    r, s = utils.decode_dss_signature(key.sign(octets, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def token(provider, claims, key=None, header=None, signature=None):
    now = int(time.time())
    key = key or keys[provider]
    kid = {"corporate": "c1", "partner": "p1"}[provider]
    head = {"alg": "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256", "kid": kid, **(header or {})}
    body = {"iss": issuers[provider], "iat": now, "exp": now + 600, "zid": subaccount, **claims}
    body = {name: value for name, value in body.items() if value is not None}
    signed = text(json.dumps(head).encode()) + "." + text(json.dumps(body).encode())
    return signed + "." + text(sign(key, signed.encode()) if signature is None else signature(signed.encode()))


def ask(host, value, technical=None, proxy_token=None):
    fields = {"Proxy-Authorization": "Bearer " + (proxy_token or os.environ["CONNECTIVITY_TOKEN"])}
    if value:
        fields["SAP-Connectivity-Authentication"] = f"Bearer {value}"
    if technical:
        fields["SAP-Connectivity-Technical-Authentication"] = f"Bearer {technical}"
    # A connection to the proxy is one principal's.
    return requests.get(f"http://{host}/x", headers=fields, timeout=30, proxies=proxies)


def normal(name):
    """A subject with its parts in an order of their own: each library writes them in another."""
    return sorted(part.strip() for part in name.split(","))


def arrived(host, answer):
    """The user that a host knows; nginx hands over the field, and whoever is behind it looks at the certificate."""
    if answer.status_code != 200:
        return None
    if host != "nginx.test":
        return normal(answer.text)
    certificate = x509.load_der_x509_certificate(base64.b64decode(answer.text))
    with open(f"{folder}/user-ca.pem", "rb") as file:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(file.read()))
    return normal(certificate.subject.rfc4514_string())


def right_users():
    for host in hosts:
        for what, provider, claims, expected in (
            ("a user", "corporate", {"user_name": "anna"}, "CN=anna,O=Plant"),
            ("an employee with a department", "partner", {"user_name": "berta", "department": "R&D"}, "CN=berta,OU=R&D,O=Plant"),
            ("another of the first", "corporate", {"email": "clara@corp.test"}, "CN=clara@corp.test,O=Plant"),
        ):
            found = arrived(host, ask(host, token(provider, claims)))
            check(f"{host}: {what} of {provider} is {expected}", found == normal(expected))
        now = int(time.time())
        value = token("corporate", {"grant_type": "client_credentials", "client_id": "app1", "exp": now + 600})
        found = arrived(host, ask(host, None, value))
        check(f"{host}: an application", found == normal("CN=app1,OU=Applications"))


def wrong_tokens():
    now = int(time.time())
    anna = {"user_name": "anna"}
    good = token("corporate", anna)
    other = rsa.generate_private_key(65537, 2048)
    head, body, signature = good.split(".")
    public = keys["corporate"].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    forged = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged["user_name"] = "admin"
    validation, generation = "SSO token validation failed", "Unable to generate authorization token for user"
    for what, value, cause in (
        ("no token at all", "anna", validation),
        ("an issuer that nobody trusts", token("corporate", {**anna, "iss": "https://evil.test"}), validation),
        ("the key of somebody else", token("corporate", anna, key=other), validation),
        ("a payload that was changed", f"{head}.{text(json.dumps(forged).encode())}.{signature}", validation),
        ("expired beyond the tolerance", token("corporate", {**anna, "exp": now - 7200}), validation),
        ("not valid yet", token("corporate", {**anna, "nbf": now + 3600}), validation),
        ("no expiry", token("corporate", {**anna, "exp": None}), validation),
        ("another tenant", token("corporate", {**anna, "zid": "00000000-0000-0000-0000-000000000000"}), validation),
        ("an unknown key", token("corporate", anna, header={"kid": "c2"}), validation),
        ("no signature", token("corporate", anna, header={"alg": "none"}, signature=lambda _: b""), validation),
        ("the public key as a secret", token("corporate", anna, header={"alg": "HS256"},
         signature=lambda octets: hmac.new(public, octets, hashlib.sha256).digest()), validation),
        ("an extension that must be understood", token("corporate", anna, header={"crit": ["b64"], "b64": False}), validation),
        ("one provider's token with the other's key", token("corporate", anna, key=keys["partner"], header={"kid": "p1"}), validation),
        ("a name that no pattern makes", token("corporate", {"user_name": None}), generation),
    ):
        for host in hosts:
            answer = ask(host, value)
            check(f"{host}: {what}", answer.status_code == 403 and cause in answer.text)
    for host in hosts:
        check(f"{host}: a user's token and an application's", ask(host, good, good).status_code == 403)
        check(f"{host}: nobody without a token", arrived(host, ask(host, None)) is None)


def binding(service, key):
    return (pathlib.Path(folder) / "bindings" / service / key).read_text(encoding="utf-8")


def sdk_users():
    """As SAP's SDKs take a login's token to the proxy: beside a token of their own, or exchanged for one that stands for the user."""
    user = os.environ["USER_TOKEN"]
    expected = normal("CN=alice@example.com,O=Plant")
    check("JavaScript, Java: the user beside the program", arrived("java.test", ask("java.test", user)) == expected)
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "response_type": "token", "assertion": user}
    secret = {"client_id": binding("connectivity", "clientid"), "client_secret": binding("connectivity", "clientsecret")}
    url = binding("connectivity", "url") + "/oauth/token"
    for what, answer in (
        ("JavaScript: exchanged, secret in the body", requests.post(url, data={**form, **secret}, timeout=10)),
        ("Java, xssec: exchanged, secret as Basic", requests.post(url, data={**form, "client_id": secret["client_id"]},
         auth=(secret["client_id"], secret["client_secret"]), timeout=10)),
    ):
        check(f"{what}: {answer.status_code}", answer.status_code == 200)
        check(what, arrived("java.test", ask("java.test", None, proxy_token=answer.json()["access_token"])) == expected)
    python_sdk(user, expected)


def python_sdk(user, expected):
    from sap_cloud_sdk import destination as sdk

    client = sdk.create_client(config=sdk.DestinationConfig(
        url=binding("destination", "uri"), token_url=binding("destination", "url") + "/oauth/token",
        client_id=binding("destination", "clientid"), client_secret=binding("destination", "clientsecret"),
        identityzone=binding("destination", "identityzone"),
    ))
    client.create_destination(sdk.Destination(
        name="PLANT", type="HTTP", url="http://java.test", proxy_type="OnPremise", authentication="PrincipalPropagation"))
    found = client.get_destination("PLANT", options=sdk.ConsumptionOptions(user_token=user))
    check("SAP's SDK for Python finds the destination with a user's token", found.url == "http://java.test")
    check("and its proxy takes the user along", arrived("java.test", ask(found.url.removeprefix("http://"), user)) == expected)


def many():
    """Two hundred users at once, each of whom has to be himself."""
    users = {f"user{index}": token("partner", {"user_name": f"user{index}"}) for index in range(200)}

    def work(part):
        for name in list(users)[part::8] * 5:
            if arrived("nginx.test", ask("nginx.test", users[name])) != normal(f"CN={name},O=Plant"):
                return name
        return None

    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        failed = [name for name in pool.map(work, range(8)) if name]
    check(f"1000 requests of 200 users from 8 threads in {time.monotonic() - start:.1f} s, each answered for its user", not failed)


if action == "files":
    files()
else:
    keys = {"corporate": load("corporate.key"), "partner": load("partner.key")}
    hosts = ("nginx.test", "java.test", "tomcat.test")
    proxies = {"http": f"http://127.0.0.1:{sys.argv[4]}"}
    right_users()
    wrong_tokens()
    sdk_users()
    many()
