#!/usr/bin/env python3
"""Drives thousands of light connectors, each with a certificate of its own, against several services on one PostgreSQL.

    dev/build-release.sh && Benchmarks/fleet.py --connectors 1000 --services 3

A light connector speaks as much of the tunnel as it takes to be one: TLS with its certificate, HTTP/2 as the side that answers, the
control stream with its hello, PING, GOAWAY, and 200 to each request. It comes back as connectord does (half a second to 30 s, with full
jitter). Printed are memory and processor time at rest for each tunnel, how long it takes until all are back after all services were killed
and started again and how many came in the busiest second, the cost and delay of changes in the directory, and what the hop to another
service costs. Needs openssl and PostgreSQL's server programs. Everything listens on loopback and is ended at the end.
"""
import argparse, asyncio, collections, concurrent.futures, json, os, pwd, random, shutil, signal, socket, ssl, statistics, struct, subprocess, sys
import tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pairs import cpu, memory

POSTGRES = '/usr/lib/postgresql/15/bin'
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + bytes((kind, flags)) + struct.pack('>I', stream) + payload


# ENABLE_CONNECT_PROTOCOL and MAX_CONCURRENT_STREAMS.
WELCOME = frame(SETTINGS, 0, 0, struct.pack('>HIHI', 8, 1, 3, 100))
# `:status: 200`, of HPACK's static table.
OK = b'\x88'


class Tunnel(asyncio.Protocol):
    def __init__(self, connector, closed):
        self.connector, self.closed, self.bytes, self.control, self.hasPreface = connector, closed, b'', None, False

    def connection_made(self, transport):
        self.transport = transport
        transport.write(WELCOME)

    def connection_lost(self, error):
        self.connector.fleet.gone(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data):
        self.bytes += data
        if not self.hasPreface:
            if len(self.bytes) < len(PREFACE):
                return
            self.hasPreface, self.bytes = True, self.bytes[len(PREFACE):]
        while len(self.bytes) >= 9:
            length = int.from_bytes(self.bytes[:3], 'big')
            if len(self.bytes) < 9 + length:
                return
            kind, flags, stream = self.bytes[3], self.bytes[4], int.from_bytes(self.bytes[5:9], 'big')
            payload, self.bytes = self.bytes[9:9 + length], self.bytes[9 + length:]
            self.received(kind, flags, stream, payload)

    def received(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.transport.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.transport.write(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.transport.close()
        elif kind == HEADERS and self.control is None:
            self.control = stream
            hello = {'hello': {'session': self.connector.session, 'version': 'fleet', 'description': '', 'startedAt': 0}}
            self.transport.write(frame(HEADERS, END_HEADERS, stream, OK)
                                 + frame(DATA, 0, stream, json.dumps(hello).encode() + b'\n'))
            self.connector.fleet.up(self)
        elif kind in (HEADERS, DATA) and stream != self.control and flags & END_STREAM:
            self.transport.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, OK))


class Connector:
    """One identity with a tunnel to each port."""

    def __init__(self, fleet, number, context):
        self.fleet, self.number, self.context, self.session = fleet, number, context, f'{number}-{random.random()}'

    async def keep_up(self, port):
        attempts = 0
        while True:
            try:
                closed = asyncio.get_running_loop().create_future()
                await asyncio.get_running_loop().create_connection(
                    lambda: Tunnel(self, closed), '127.0.0.1', port, ssl=self.context, server_hostname='localhost', ssl_handshake_timeout=30)
                began = time.monotonic()
                await closed
                if time.monotonic() - began > 10:
                    attempts = 0
            except (OSError, ssl.SSLError, asyncio.TimeoutError):
                pass
            # As TunnelCore's Backoff.
            await asyncio.sleep(min(30, 0.5 * 2 ** min(attempts, 20)) * (0.1 + 0.9 * random.random()))
            attempts += 1


class Fleet:
    def __init__(self):
        self.tunnels, self.arrivals, self.refused = set(), [], 0

    def up(self, tunnel):
        self.tunnels.add(tunnel)
        self.arrivals.append(time.monotonic())

    def gone(self, tunnel):
        self.tunnels.discard(tunnel)


# What it runs on


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def make_certificates(folder, count):
    run('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'ca.key', cwd=folder)
    run('openssl', 'req', '-x509', '-new', '-key', 'ca.key', '-subj', '/CN=fleet', '-days', '2', '-out', 'ca.pem', cwd=folder)
    run('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'key', cwd=folder)
    run('openssl', 'req', '-new', '-key', 'key', '-subj', '/CN=fleet', '-out', 'request', cwd=folder)

    def sign(name, names):
        with open(f'{folder}/{name}.cnf', 'w') as file:
            file.write(f'subjectAltName={names}\n')
        run('openssl', 'x509', '-req', '-in', 'request', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '2', '-set_serial',
            str(random.getrandbits(120)), '-extfile', f'{name}.cnf', '-out', f'{name}.pem', cwd=folder)

    sign('service', 'DNS:localhost,IP:127.0.0.1')
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda n: sign(f'c{n}', f'URI:connector://fleet/c{n}'), range(count)))


def context(folder, number):
    made = ssl.create_default_context(cafile=f'{folder}/ca.pem')
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(f'{folder}/c{number}.pem', f'{folder}/key')
    made.set_alpn_protocols(['h2-reverse'])
    return made


class Database:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='fleet-pg-', dir='/tmp')
        self.prefix = []
        if os.getuid() == 0:
            user = pwd.getpwnam('postgres')
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.prefix = ['/usr/sbin/runuser', '-u', 'postgres', '--']
        run(*self.prefix, f'{POSTGRES}/initdb', '-D', f'{self.folder}/data', '-A', 'trust', '-U', 'connector', '--locale=C', cwd=self.folder)
        self.process = subprocess.Popen(
            [*self.prefix, f'{POSTGRES}/postgres', '-D', f'{self.folder}/data', '-k', self.folder, '-c', 'listen_addresses='],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = 'postgresql://connector@' + self.folder.replace('/', '%2F') + '/postgres'
        while subprocess.run([f'{POSTGRES}/pg_isready', '-q', '-h', self.folder, '-U', 'connector']).returncode:
            time.sleep(0.1)

    def stop(self):
        subprocess.run([*self.prefix, f'{POSTGRES}/pg_ctl', '-D', f'{self.folder}/data', '-m', 'immediate', 'stop'],
                       stdout=subprocess.DEVNULL, cwd='/')
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Service:
    def __init__(self, binary, folder, database, name, first):
        self.binary, self.folder, self.name = binary, folder, name
        self.proxy, self.tunnel, peers = first, first + 1, first + 2
        with open(f'{folder}/{name}.conf', 'w') as file:
            file.write(f'''subaccount: fleet
proxy: {{listen: "127.0.0.1:{self.proxy}", max-connections: 20000}}
tunnel: {{listen: "127.0.0.1:{self.tunnel}", certificate: service.pem, private-key: key, trusted-ca: ca.pem}}
store: {{url: "{database.url}", key-file: store.key}}
peers: {{name: {name}, listen: "127.0.0.1:{peers}"}}
enrolment: {{service-names: [localhost], trust-anchor: ca.pem}}
log: {{level: warning}}
admin: {{socket: {name}.sock}}
''')

    def start(self):
        log = open(f'{self.folder}/{self.name}.log', 'a')
        self.process = subprocess.Popen([self.binary, 'cloud', '--config', f'{self.name}.conf'], cwd=self.folder, stdout=log, stderr=log)

    @property
    def pid(self):
        return self.process.pid

    def resident(self):
        return memory(self.pid, 'VmRSS') * 1024

    def request(self, number, connection=None):
        """The status of a request to a connector."""
        own = connection or socket.create_connection(('127.0.0.1', self.proxy))
        try:
            own.sendall(f'GET http://any.test/ HTTP/1.1\r\nHost: any.test\r\nSAP-Connectivity-SCC-Location_ID: c{number}\r\n\r\n'.encode())
            answer = b''
            while b'\r\n\r\n' not in answer:
                part = own.recv(65536)
                if not part:
                    return 0
                answer += part
            return int(answer.split()[1])
        finally:
            if not connection:
                own.close()

    def listens(self):
        try:
            socket.create_connection(('127.0.0.1', self.proxy), 1).close()
            return True
        except OSError:
            return False


async def until(condition, limit=120):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise SystemExit('the fleet did not come up in time')
        await asyncio.sleep(0.02)


async def measure(options, folder, services, results):
    loop, fleet = asyncio.get_running_loop(), Fleet()
    spare = options.connectors
    connectors = [Connector(fleet, n, context(folder, n)) for n in range(options.connectors + 2)]
    await asyncio.sleep(2)
    empty = [service.resident() for service in services]
    wanted = options.connectors * len(services)
    tasks = [loop.create_task(c.keep_up(s.tunnel)) for c in connectors[:spare] for s in services]
    began = time.monotonic()
    await until(lambda: len(fleet.tunnels) == wanted)
    results['seconds until all are there, all at once'] = round(time.monotonic() - began, 1)
    # At rest: buffers are given back after a second or two.
    await asyncio.sleep(8)
    before = [cpu(s.pid) for s in services]
    await asyncio.sleep(options.rest)
    used = sum(cpu(s.pid) - b for s, b in zip(services, before))
    results['processor time at rest, per cent of one processor for each service'] = round(100 * used / options.rest / len(services), 2)
    grown = sum(s.resident() - e for s, e in zip(services, empty))
    results['KiB for each tunnel, with its share of the directory'] = round(grown / wanted, 1)

    # All services die, and come back at once.
    for service in services:
        service.process.kill()
        service.process.wait()
    await until(lambda: not fleet.tunnels)
    fleet.arrivals.clear()
    for service in services:
        service.start()
    began = time.monotonic()
    await until(lambda: all(s.listens() for s in services))
    await until(lambda: len(fleet.tunnels) == wanted)
    results['seconds until all are back, after all services were killed and started'] = round(time.monotonic() - began, 1)
    seconds = collections.Counter(int(at - began) for at in fleet.arrivals)
    results['tunnels in the busiest second'] = max(seconds.values())

    # One more, at the first service only: when does the last service know?
    await asyncio.sleep(3)
    delays = []
    for _ in range(options.changes):
        task = loop.create_task(connectors[spare].keep_up(services[0].tunnel))
        await until(lambda: len(fleet.tunnels) == wanted + 1)
        began = time.monotonic()
        while await loop.run_in_executor(None, services[-1].request, spare) != 200:
            pass
        delays.append(time.monotonic() - began)
        task.cancel()
        for tunnel in [t for t in fleet.tunnels if t.connector.number == spare]:
            tunnel.transport.abort()
        await until(lambda: len(fleet.tunnels) == wanted)
        # Until the directory has forgotten it.
        await asyncio.sleep(1)
    results['milliseconds until a new tunnel is known at another service, median'] = round(1000 * statistics.median(delays))

    # The hop.
    task = loop.create_task(connectors[spare + 1].keep_up(services[0].tunnel))
    await until(lambda: len(fleet.tunnels) == wanted + 1)
    while await loop.run_in_executor(None, services[-1].request, spare + 1) != 200:
        pass

    def ask(service, count):
        with socket.create_connection(('127.0.0.1', service.proxy)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            times = []
            for _ in range(count):
                start = time.perf_counter()
                assert service.request(spare + 1, connection) == 200
                times.append(time.perf_counter() - start)
            return times

    for service, name in ((services[0], 'with the tunnel'), (services[-1], 'with one hop')):
        await loop.run_in_executor(None, ask, service, 200)
        start = [cpu(s.pid) for s in services]
        times = await loop.run_in_executor(None, ask, service, options.requests)
        used = sum(cpu(s.pid) - b for s, b in zip(services, start))
        results[f'milliseconds of processor time of all services for 1,000 requests, {name}'] = round(1e6 * used / options.requests, 1)
        results[f'microseconds a request, {name}, median'] = round(1e6 * statistics.median(times))
    for task in tasks:
        task.cancel()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument('--binary', default=f'{here}/../.build/release/connectord')
    parser.add_argument('--connectors', type=int, default=1000)
    parser.add_argument('--services', type=int, default=3)
    parser.add_argument('--rest', type=int, default=20, help='seconds for the processor time at rest')
    parser.add_argument('--changes', type=int, default=20)
    parser.add_argument('--requests', type=int, default=5000)
    options = parser.parse_args()
    binary, results, services = os.path.abspath(options.binary), {}, []
    folder, database = tempfile.mkdtemp(prefix='fleet-'), Database()
    try:
        make_certificates(folder, options.connectors + 2)
        with open(f'{folder}/store.key', 'w') as file:
            file.write('k' * 40)
        os.chmod(f'{folder}/store.key', 0o600)
        services = [Service(binary, folder, database, f's{n}', 21000 + 10 * n) for n in range(options.services)]
        run(binary, 'store', 'migrate', '--config', 's0.conf', cwd=folder)
        for service in services:
            service.start()
        while not all(s.listens() for s in services):
            time.sleep(0.05)
        asyncio.run(measure(options, folder, services, results))
    finally:
        for service in services:
            service.process.send_signal(signal.SIGKILL)
            service.process.wait()
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{options.connectors} connectors, {options.services} services')
    for name, value in results.items():
        print(f'{value:>10}  {name}')


if __name__ == '__main__':
    main()
