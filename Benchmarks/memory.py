#!/usr/bin/env python3
"""What connections, tunnels, streams and mappings hold in memory, in KiB each, and what is left of it afterwards.

    dev/build-release.sh
    HAPROXY=/path/to/haproxy Benchmarks/memory.py --clients 9500

Anonymous memory of the processes (smaps_rollup), the system's socket buffers not counted. Each row holds so many of one
thing, and lets go of them; "left" is what the processes have more than before, five seconds after.
"""
import argparse, json, os, resource, shutil, socket, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchmark import HERE, REQUEST, read_answer
from pairs import certificates, start_connectord
from peers import start_haproxy

# Seconds after which a tunnel counts as idle: by then it has given up its buffers, and the allocator what setting it up took.
QUIET = 10


def anonymous(pid):
    for line in open(f'/proc/{pid}/smaps_rollup'):
        if line.startswith('Anonymous:'):
            return int(line.split()[1])


class Backend:
    """Answers /small at once, /wait when it is told to, /large without an end."""

    def __init__(self, port):
        self.port, self.release, self.waiting = port, threading.Event(), 0
        self.listener = socket.create_server(('127.0.0.1', port), backlog=4096)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        import selectors
        selector, held = selectors.DefaultSelector(), []
        self.listener.setblocking(False)
        selector.register(self.listener, selectors.EVENT_READ)
        answer = b'HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n' + b'x' * 64
        while True:
            for key, _ in selector.select(0.05):
                if key.fileobj is self.listener:
                    connection, _ = self.listener.accept()
                    connection.setblocking(False)
                    selector.register(connection, selectors.EVENT_READ)
                    continue
                try:
                    data = key.fileobj.recv(65536)
                except OSError:
                    data = b''
                if not data:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                elif b'/wait' in data:
                    held.append(key.fileobj)
                    self.waiting = len(held)
                elif b'/large' in data:
                    selector.unregister(key.fileobj)
                    threading.Thread(target=self.pour, args=(key.fileobj,), daemon=True).start()
                else:
                    key.fileobj.sendall(answer)
            if self.release.is_set() and held:
                for connection in held:
                    connection.sendall(answer)
                held.clear()
                self.waiting = 0

    @staticmethod
    def pour(connection):
        connection.setblocking(True)
        try:
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n')
            while True:
                connection.sendall(b'x' * 65536)
        except OSError:
            connection.close()


def ask(port, path, host=b'127.0.0.1'):
    connection = socket.create_connection((host.decode(), port))
    connection.settimeout(20)
    connection.sendall(REQUEST % path)
    return connection


class Table:
    def __init__(self):
        self.rows = {}

    def measure(self, what, pair, count, hold):
        """- hold: makes `count` of them and returns what lets go of them."""
        before = [anonymous(pid) for pid in pair.pids]
        release = hold()
        time.sleep(1)
        during = [anonymous(pid) for pid in pair.pids]
        release()
        time.sleep(5)
        after = [anonymous(pid) for pid in pair.pids]
        row = {'count': count,
               'KiB each, entry': round((during[0] - before[0]) / count, 2),
               'KiB each, connector': round((during[1] - before[1]) / count, 2),
               'before, MiB': round(sum(before) / 1024, 1),
               'during, MiB': round(sum(during) / 1024, 1),
               'after, MiB': round(sum(after) / 1024, 1)}
        self.rows[f'{what}, {pair.name}'] = row
        print(f'{what + ", " + pair.name:44}' + ''.join(f'{key}: {value}   ' for key, value in row.items()), flush=True)


def idle_clients(pair, count):
    def hold():
        connections = []
        for _ in range(count):
            connection = ask(pair.port, b'small')
            read_answer(connection)
            connections.append(connection)
        return lambda: [c.close() for c in connections]
    return hold


def open_streams(pair, count, backend):
    def hold():
        backend.release.clear()
        connections = [ask(pair.port, b'wait') for _ in range(count)]
        end = time.time() + 20
        while backend.waiting < count and time.time() < end:
            time.sleep(0.05)
        if backend.waiting < count:
            sys.exit(f'{pair.name}: only {backend.waiting} of {count} requests arrived')
        def release():
            backend.release.set()
            for connection in connections:
                read_answer(connection)
                connection.close()
        return release
    return hold


def stopped_readers(pair, count):
    def hold():
        connections = [ask(pair.port, b'large') for _ in range(count)]
        time.sleep(3)
        return lambda: [c.close() for c in connections]
    return hold


def find(value, key):
    """The first value of that key in what JSON has become."""
    if isinstance(value, dict):
        if key in value:
            return value[key]
        value = list(value.values())
    if isinstance(value, list):
        return next((found for found in (find(v, key) for v in value) if found is not None), None)


def tunnels(binary, folder, pair, count):
    """A second connector with so many tunnels to the same service."""
    text = open(f'{folder}/{pair.name}.conf').read()
    open(f'{folder}/many.conf', 'w').write(
        text.replace('connections: 1', f'connections: {count}')
        .replace(f'{pair.name}.sock', 'many.sock'))
    open(f'{folder}/one.conf', 'w').write(open(f'{folder}/many.conf').read().replace(f'connections: {count}', 'connections: 1').replace('many.sock', 'one.sock'))

    def started(file, expected):
        log = open(f'{folder}/{file}.log', 'w')
        process = subprocess.Popen([binary, 'run', '--config', file], cwd=folder, stderr=log, stdout=log)
        end = time.time() + 20
        while time.time() < end:
            text = subprocess.run([binary, 'status', '--json', '--config', file], cwd=folder, capture_output=True, text=True).stdout
            if text and len(find(json.loads(text), 'tunnels') or []) >= expected:
                time.sleep(QUIET)
                return process
            time.sleep(0.2)
        process.terminate()
        sys.exit(f'{file}: no {expected} tunnels: {text} ' + open(f'{folder}/{file}.log').read())

    base = anonymous(pair.pids[0])
    one = started('one.conf', 1)
    own = anonymous(one.pid)
    with_one = anonymous(pair.pids[0])
    one.terminate()
    one.wait()
    time.sleep(1)
    many = started('many.conf', count)
    row = {'count': count,
           'KiB each, entry': round((anonymous(pair.pids[0]) - with_one) / (count - 1), 1),
           'KiB each, connector': round((anonymous(many.pid) - own) / (count - 1), 1)}
    many.terminate()
    many.wait()
    time.sleep(5)
    row['left, MiB'] = round((anonymous(pair.pids[0]) - base) / 1024, 1)
    print(f'{"idle tunnel":44}' + ''.join(f'{key}: {value}   ' for key, value in row.items()), flush=True)
    return row


def crowd(binary, folder, port, clients, identities, connections):
    """One service with idle tunnels of several identities, all of one connector process, and idle clients besides."""
    authorities = ''
    for number in range(identities):
        subprocess.run([binary, 'certificates', '--directory', f'{folder}/crowd{number}', '--subaccount', f'crowd{number}'], check=True)
        authorities += open(f'{folder}/crowd{number}/ca.pem').read()
    open(f'{folder}/crowd-ca.pem', 'w').write(authorities)
    open(f'{folder}/crowd-cloud.conf', 'w').write(f'''
subaccount: crowd0
event-loops: 1
proxy: {{listen: "127.0.0.1:{port}", authorization: none, max-connections: {clients * 3 // 2}}}
admin: {{socket: crowd-cloud.sock}}
tunnel: {{listen: "127.0.0.1:{port + 1}", certificate: crowd0/service.pem, private-key: crowd0/service.key, trusted-ca: crowd-ca.pem}}
limits: {{tunnels-per-connector: {connections + 16}}}
''')
    os.makedirs(f'{folder}/crowd/connector.d')
    for number in range(identities):
        file = 'connector.d/crowd%d.conf' % number if number else 'connector.conf'
        base = f'{folder}/crowd{number}'
        open(f'{folder}/crowd/{file}', 'w').write(f'''
subaccount: crowd{number}
{"" if number else "event-loops: 1"}
{"" if number else "admin: {socket: crowd.sock}"}
tunnel: {{service: "localhost:{port + 1}", connections: {connections}, certificate: {base}/connector.pem, private-key: {base}/connector.key,
  trusted-ca: {folder}/crowd0/ca.pem}}
systems:
  - virtual-host: bench:80
    internal-host: 127.0.0.1:18081
    protocol: HTTP
    resources: [{{path: /, access: path-and-sub-paths}}]
''')
    log = open(f'{folder}/crowd.log', 'w')
    service = subprocess.Popen([binary, 'cloud', '--config', 'crowd-cloud.conf'], cwd=folder, stderr=log, stdout=log)
    connector, rows = None, []
    try:
        time.sleep(3)
        # Twice: what the first wave leaves is what the process has learnt, what the second adds would be lost.
        for _ in range(2):
            row = {'before': anonymous(service.pid)}
            connector = subprocess.Popen([binary, 'run', '--config', 'crowd/connector.conf'], cwd=folder, stderr=log, stdout=log)
            end, there = time.time() + 120, 0
            while there < identities * connections:
                if time.time() > end:
                    sys.exit(f'only {there} of {identities * connections} tunnels')
                time.sleep(1)
                text = subprocess.run([binary, 'status', '--cloud', '--json', '--config', 'crowd-cloud.conf'], cwd=folder, capture_output=True, text=True).stdout
                there = sum(c['tunnels'] for c in find(json.loads(text or '{}'), 'connectors') or [])
            time.sleep(QUIET)
            row['with tunnels'], row['connector'] = anonymous(service.pid), anonymous(connector.pid)
            held = [ask(port, b'small') for _ in range(clients)]
            for connection in held:
                read_answer(connection)
            time.sleep(5)
            row['with clients'] = anonymous(service.pid)
            for connection in held:
                connection.close()
            connector.terminate()
            connector.wait()
            time.sleep(6)
            row['after'] = anonymous(service.pid)
            rows.append({'tunnels': there, 'clients': clients} | {f'{key}, MiB': round(value / 1024, 1) for key, value in row.items()})
            print(f'{"idle tunnels and clients":44}' + ''.join(f'{key}: {value}   ' for key, value in rows[-1].items()), flush=True)
    finally:
        for process in (connector, service):
            if process and process.poll() is None:
                process.terminate()
                process.wait()
    return rows


def mappings(binary, folder, pair, count):
    text = open(f'{folder}/{pair.name}.conf').read()
    sizes = []
    for number in (10, count):
        open(f'{folder}/mappings.conf', 'w').write(
            text.replace(f'{pair.name}.sock', 'mappings.sock')
            + ''.join(f'''  - virtual-host: host{i}:80
    internal-host: 10.0.0.{i % 250}:{1024 + i % 60000}
    protocol: HTTP
    resources: [{{path: /, access: path-and-sub-paths}}]
''' for i in range(number)))
        process = subprocess.Popen([binary, 'run', '--config', 'mappings.conf'], cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(4)
        sizes.append(anonymous(process.pid))
        process.terminate()
        process.wait()
    row = {'count': count, 'KiB each, connector': round((sizes[1] - sizes[0]) / (count - 10), 2)}
    print(f'{"mapping":44}' + ''.join(f'{key}: {value}   ' for key, value in row.items()), flush=True)
    return row


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--binary', default=os.path.join(HERE, '..', '.build', 'release', 'connectord'))
    p.add_argument('--clients', type=int, default=2000)
    p.add_argument('--tunnels', type=int, default=15, help='a connector may have 16')
    p.add_argument('--identities', type=int, default=16, help='subaccounts of the row with tunnels and clients')
    p.add_argument('--connections', type=int, default=63, help='tunnels of each')
    p.add_argument('--json', help='write the rows to this file')
    o = p.parse_args()
    binary, table = os.path.abspath(o.binary), Table()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1 << 20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    folder = tempfile.mkdtemp(prefix='connectord-memory-')
    certificates(binary, folder)
    backend, pairs = Backend(18081), []
    try:
        start_connectord(binary, folder, 18081, 18110, pairs, clients=max(4096, o.clients * 3 // 2))
        if os.environ.get('HAPROXY'):
            start_haproxy(os.environ['HAPROXY'], folder, 18081, 18210, pairs, clients=min(9800, max(4096, o.clients + 100)))
        for pair in pairs:
            table.measure('idle client connection', pair, o.clients, idle_clients(pair, o.clients))
            if pair.name == 'haproxy':
                continue
            table.measure('open stream with its connections', pair, 200, open_streams(pair, 200, backend))
            table.measure('stopped reader', pair, 32, stopped_readers(pair, 32))
        table.rows['idle tunnel'] = tunnels(binary, folder, pairs[0], o.tunnels)
        table.rows['mapping'] = mappings(binary, folder, pairs[0], 10000)
        table.rows['idle tunnels and clients'] = crowd(binary, folder, 18310, o.clients, o.identities, o.connections)
        if o.json:
            json.dump(table.rows, open(o.json, 'w'), indent=1)
    finally:
        for pair in pairs:
            pair.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
