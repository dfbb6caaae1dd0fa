"""A Redis client that reaches its server over SOCKS5 with SAP's authentication, and nothing but the standard library.

    client.py PROXY-PORT TOKEN HOST PORT
"""

import socket
import struct
import sys

proxy_port, token, host, port = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode(), int(sys.argv[4])


def exactly(count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            sys.exit("the connection ended")
        data += piece
    return data


connection = socket.create_connection(("127.0.0.1", proxy_port), timeout=10)
connection.sendall(b"\x05\x01\x80")
assert exactly(2) == b"\x05\x80"
connection.sendall(b"\x01" + struct.pack(">I", len(token)) + token + b"\x00")
if exactly(2) != b"\x01\x00":
    sys.exit("the token does not count")
connection.sendall(b"\x05\x01\x00\x03" + bytes([len(host)]) + host + struct.pack(">H", port))
reply = exactly(10)[1]
if reply != 0:
    sys.exit(f"SOCKS5 reply {reply}")


def command(*words):
    connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    line = b""
    while not line.endswith(b"\r\n"):
        line += exactly(1)
    return exactly(int(line[1:]) + 2)[:-2] if line.startswith(b"$") else line[1:-2]


print(command(b"PING").decode())
big = b"x" * 3_000_000
print(command(b"SET", b"greeting", b"Hello World").decode(), command(b"SET", b"big", big).decode())
print(command(b"GET", b"greeting").decode(), command(b"GET", b"big") == big)
