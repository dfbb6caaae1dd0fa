"""Opens a TCP connection with the package sapcloudconnectorpythonsocket, as programs for SAP's service do.

    sap_socket.py PORT TOKEN LOCATION-ID
"""

import sys

from sapcloudconnectorpythonsocket import CloudConnectorSocket

port, token, location = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def ask(host, location, token=token):
    connection = CloudConnectorSocket()
    connection.connect(dest_host=host, dest_port=80, proxy_host="127.0.0.1", proxy_port=port, token=token, location_id=location)
    connection.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def fails(*arguments):
    try:
        ask(*arguments)
    except Exception as error:
        return str(error)
    raise SystemExit("it should have failed")


assert b"Hello World" in ask("hello", location)
for words, arguments in {
    "FORBIDDEN": ("other", location), "NETWORK_UNREACHABLE": ("hello", "elsewhere"), "Authentication": ("hello", location, "x"),
}.items():
    message = fails(*arguments)
    print(words, "->", message)
print("ok")
