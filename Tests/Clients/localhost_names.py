"""A plugin of pytest: names below localhost lead to 127.0.0.1, which not every system knows (RFC 6761 section 6.3)."""

import socket

resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: resolve(
    "127.0.0.1" if str(host).endswith(".localhost") else host, *more, **named
)
