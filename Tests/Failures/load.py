"""Clients that send requests all the time, and remember what became of each."""
import asyncio, random, time


IDLE = 'connection closed while idle'


class Request:
    __slots__ = ('service', 'location', 'sent', 'ended', 'outcome')

    def __init__(self, service, location):
        self.service, self.location, self.sent, self.ended, self.outcome = service, location, time.monotonic(), None, None


class Client:
    """One after the other, on a connection that is kept for each service."""

    def __init__(self, load, number):
        self.load, self.number, self.connections = load, number, {}

    async def run(self):
        count = 0
        while not self.load.isOver:
            count += 1
            service = random.choice(self.load.balanced or self.load.services)
            request = Request(service, random.choice(self.load.locations))
            self.load.requests.append(request)
            try:
                request.outcome = await asyncio.wait_for(self.ask(request, f'{self.number}-{count}'), self.load.timeout)
                if request.outcome == IDLE:
                    # As every client does (RFC 9112 section 9.3.1): nothing of an answer has come on a connection that was kept.
                    request.outcome = await asyncio.wait_for(self.ask(request, f'{self.number}-{count}'), self.load.timeout)
            except asyncio.TimeoutError:
                request.outcome = 'LOST: no answer in time'
                self.drop(service)
            request.ended = time.monotonic()
            if request.outcome != 'answered':
                await asyncio.sleep(0.05)

    def drop(self, service):
        connection = self.connections.pop(service, None)
        if connection:
            connection[1].close()

    async def ask(self, request, name):
        isKept = request.service in self.connections
        try:
            if not isKept:
                self.connections[request.service] = await asyncio.open_connection(self.load.addresses[request.service], 20003)
            reader, writer = self.connections[request.service]
            writer.write((f'GET http://backend.test/x/{name} HTTP/1.1\r\nHost: backend.test\r\n'
                          f'SAP-Connectivity-SCC-Location_ID: {request.location}\r\n\r\n').encode())
            head = (await reader.readuntil(b'\r\n\r\n')).decode()
            fields = {k.lower(): v for k, _, v in (line.partition(': ') for line in head.split('\r\n')[1:])}
            body = (await reader.readexactly(int(fields['content-length']))).decode()
            status = int(head.split()[1])
            if fields.get('connection') == 'close':
                self.drop(request.service)
            if status == 200:
                return 'answered' if body == name else f'LOST: the answer of another request, {body}'
            # "…; error=X; details="source=… phase=…: …""
            told = fields.get('proxy-status', '')
            return f'{status} {told.partition("details=")[2].strip(chr(34)) or body.strip()}'
        except ConnectionRefusedError:
            return 'connection refused'
        except (OSError, asyncio.IncompleteReadError) as error:
            self.drop(request.service)
            isClosed = isinstance(error, asyncio.IncompleteReadError) and not error.partial
            return IDLE if isClosed and isKept else 'connection broken'


class Load:
    def __init__(self, addresses, locations, timeout=15):
        self.addresses, self.services, self.locations, self.timeout = addresses, list(addresses), locations, timeout
        # Those that a load balancer sends to.
        self.balanced = list(addresses)
        self.requests, self.isOver = [], False

    async def run(self, count):
        await asyncio.gather(*(Client(self, n).run() for n in range(count)))
