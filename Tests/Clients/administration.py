"""Two hundred changes by API, by page and by hand in turn, while 32 connections carry requests: none of either is lost.

    administration.py PORT PROXY-PORT TOKEN FILE
"""

import base64
import http.client
import json
import os
import ssl
import sys
import threading
import time

port, proxy, token, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
PASSWORD = "correct horse battery"
CHANGES, CLIENTS = 200, 32
MAPPINGS = "/api/v1/configuration/subaccounts/cf.example.com/3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10/systemMappings"

anyone = ssl.create_default_context()
anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
over = threading.Event()
failures, answered = [], [0] * CLIENTS


def load(number):
    connection = http.client.HTTPConnection("127.0.0.1", proxy, timeout=60)
    while not over.is_set():
        try:
            connection.request("GET", "http://internalhost:3333/hello", headers={"Proxy-Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                failures.append((response.status, body[:200]))
            answered[number] += 1
            # A program works on what it gets; without that, this one would measure itself.
            time.sleep(0.02)
        except OSError as error:
            failures.append(repr(error))
            return


class Client:
    """One connection to the connector's page and API."""

    def __init__(self):
        self.connection = http.client.HTTPSConnection("localhost", port, context=anyone, timeout=60)
        self.headers = {"Content-Type": "application/json"}

    def ask(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        response = self.connection.getresponse()
        text = response.read()
        assert response.status < 300, (method, path, response.status, text)
        return response, text


def program():
    client = Client()
    client.headers["Authorization"] = "Basic " + base64.b64encode(f"Administrator:{PASSWORD}".encode()).decode()
    return client


def page():
    client = Client()
    response, text = client.ask("POST", "/login", {"user": "Administrator", "password": PASSWORD})
    client.headers["Cookie"] = response.getheader("set-cookie").split(";")[0]
    client.headers["X-CSRF-Token"] = json.loads(text)["changeToken"]
    return client


def by_hand(number):
    # As editors do: another file in its place.
    text = open(file).read()
    with open(file + ".edited", "w") as edited:
        edited.write(f"# by hand {number}\n" + text)
    os.rename(file + ".edited", file)


threads = [threading.Thread(target=load, args=(number,), daemon=True) for number in range(CLIENTS)]
for thread in threads:
    thread.start()
faces = [program(), page()]
made = []
for number in range(CHANGES):
    turn = number % 3
    if turn == 2:
        by_hand(number)
        continue
    if len(made) < 8:
        name = f"v{number}"
        faces[turn].ask("POST", MAPPINGS, {"virtualHost": name, "virtualPort": "1", "localHost": "h", "localPort": "1", "protocol": "HTTP"})
        made.append(name)
    elif number % 2:
        faces[turn].ask("DELETE", f"{MAPPINGS}/{made.pop(0)}:1")
    else:
        faces[turn].ask("POST", f"{MAPPINGS}/{made[-1]}:1/resources", {"id": f"/r{number}", "enabled": True, "exactMatchOnly": True})
over.set()
for thread in threads:
    thread.join()
text = open(file).read()
lost = [number for number in range(2, CHANGES, 3) if f"# by hand {number}\n" not in text]
listed = [item["virtualHost"] for item in json.loads(faces[0].ask("GET", MAPPINGS)[1])]
print(f"{sum(answered)} requests beside {CHANGES} changes, {len(failures)} failed")
assert not failures, failures[:3]
assert not lost, f"edits were lost: {lost}"
assert listed == ["internalhost"] + made, (listed, made)
assert min(answered) > 0
