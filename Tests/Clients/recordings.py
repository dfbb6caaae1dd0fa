#!/usr/bin/env python3
"""Plays recorded sessions of a real Cloud Connector against this one, and says where the answers differ.

    Tests/Clients/recordings.py PROGRAM RECORDING.yaml...

Recordings are those of go-vcr (version 2), as SAP's Terraform provider has them in scc/provider/resources/fixtures: those that make, read,
change and remove something begin and end with nothing, but for the mapping that resources are made for. Others, of data sources, show what
somebody had set up before; their fields and types are what to look at. Addresses and times cannot be the same; service channels, and
subaccounts made with a user and password of the cloud, have no meaning here and are left out. Each recording is played against a connector
of its own. Exit status: 0 where nothing differs.
"""
import base64
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time

import yaml

API = "/api/v1/configuration"
PASSWORD = "correct horse battery"
SUBACCOUNT = ("cf.eu12.hana.ondemand.com", "9f7390c8-f201-4b2d-b751-04c0a63c2671")
# What recordings say of the instance that they were made on.
OWN = re.compile(r"href$|TimeStamp$|creationDate$|subaccountCertificate|^\.tunnel\.(state|user)|^\.isManaged$|-channels$|^\.displayName$")
ELSEWHERE = re.compile(r"/channels/|/connector/version$")


class Connector:
    """A connector with a file of its own, asked over HTTPS."""

    def __init__(self, program, region, subaccount, systems):
        self.folder = tempfile.TemporaryDirectory()
        folder = self.folder.name
        self.run = lambda *arguments: subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        self.run("certificates", "--subaccount", subaccount)
        with open(f"{folder}/connector.conf", "w") as file:
            file.write(
                f"subaccount: {subaccount}\nregion-host: {region}\n"
                'tunnel: {service: "localhost:9", certificate: connector.pem, private-key: connector.key, trusted-ca: ca.pem}\n'
                f'admin: {{socket: connector.sock, listen: "127.0.0.1:0"}}\nsystems:\n{systems}\n'
            )
        self.process = subprocess.Popen(
            [program, "run", "--config", "connector.conf"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in self.process.stdout:
            if "administration served" in line:
                self.port = int(re.search(r'port="(\d+)"', line).group(1))
            if "connector started" in line:
                break
        code = next(line for line in self.run("admin", "password", "Administrator", "--socket", "connector.sock").stdout.split() if line.count("-") == 4)
        change = json.dumps({"oldPassword": code, "newPassword": PASSWORD})
        self.ask("PUT", f"{API}/connector/authentication/basic", change, "application/json", code)

    def ask(self, method, path, body=None, kind=None, password=PASSWORD):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=ssl._create_unverified_context(), timeout=60)
        headers = {"Authorization": "Basic " + base64.b64encode(f"Administrator:{password}".encode()).decode()}
        if kind:
            headers["Content-Type"] = kind
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, {name.lower() for name, _ in response.getheaders()}, response.read()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def differences(theirs, ours, path=""):
    """Of two JSON values, as lines."""
    if OWN.search(path):
        return []
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = []
        for key in sorted(theirs.keys() | ours.keys()):
            place = f"{path}.{key}"
            if key in theirs and key in ours:
                found += differences(theirs[key], ours[key], place)
            elif not OWN.search(place):
                found.append(f"{place}: {'not here' if key in theirs else 'only here'}")
        return found
    if isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            return [f"{path}: {len(theirs)} entries there, {len(ours)} here"]
        return [line for index, pair in enumerate(zip(theirs, ours)) for line in differences(*pair, f"{path}[{index}]")]
    return [] if theirs == ours and type(theirs) is type(ours) else [f"{path}: {theirs!r} there, {ours!r} here"]


def play(program, path, counts):
    with open(path) as file:
        exchanges = [one for one in yaml.safe_load(file)["interactions"] if not ELSEWHERE.search(one["request"]["url"])]
    found = [re.search(r"subaccounts/([^/ ]+)/([^/ ?]+)", one["request"]["url"]) for one in exchanges]
    named = next((match.groups() for match in found if match), SUBACCOUNT)
    systems = '  - {virtual-host: "testtfvirtualtesting:90", internal-host: "h:90", protocol: HTTP, resources: []}' if "mapping_resource" in path else "  []"
    connector = Connector(program, *named, systems)
    try:
        for one in exchanges:
            request, answer = one["request"], one["response"]
            if "cloudPassword" in (request.get("body") or "") or "authenticationData" in (request.get("body") or ""):
                counts["left out"] += 1
                continue
            target = re.sub(r"^https?://[^/]+", "", request["url"])
            kind = (request["headers"] or {}).get("Content-Type", [None])[0]
            status, fields, body = connector.ask(request["method"], target, request.get("body") or None, kind)
            lines = differences(parsed(answer.get("body") or ""), parsed(body))
            if status != answer["code"]:
                lines = [f"{answer['code']} there, {status} here: {body[:200].decode()}"]
            elif ("Location" in answer["headers"]) != ("location" in fields):
                lines.append(f"Location {'not here' if 'Location' in answer['headers'] else 'only here'}")
            counts["differ" if lines else "same"] += 1
            for line in lines:
                print(f"{os.path.basename(path)}: {request['method']} {target.replace(API, '')}: {line}")
    finally:
        connector.stop()


def main():
    counts = {"same": 0, "differ": 0, "left out": 0}
    for path in sys.argv[2:]:
        play(os.path.realpath(sys.argv[1]), path, counts)
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    sys.exit(1 if counts["differ"] else 0)


main()
