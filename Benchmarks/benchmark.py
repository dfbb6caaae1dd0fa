#!/usr/bin/env python3
"""Measures both connectord processes together against nginx, and an HAProxy reverse-HTTP pair beside them.

    swift build -c release …                      (see docs/performance.md)
    HAPROXY=/path/to/haproxy Benchmarks/benchmark.py --rounds 6

Needs wrk, nginx and curl. Everything listens on loopback and is ended at the end. CPU seconds are user and system
time of the two proxy processes, from /proc; rounds are interleaved, and medians and ratios of medians are printed.
"""
import argparse, json, os, re, selectors, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf('SC_CLK_TCK')


def cpu(pid):
    fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid, key='VmHWM'):
    return int(re.search(key + r':\s+(\d+)', open(f'/proc/{pid}/status').read())[1]) / 1024


def wait_for(url, proxy, token=None):
    # Under valgrind, on a busy machine, a start takes its time.
    end = time.monotonic() + 120
    while time.monotonic() < end:
        command = ['curl', '-s', '-m', '2', '-o', '/dev/null', '-w', '%{http_code}', '-x', proxy, url]
        if token:
            command += ['--proxy-header', f'Proxy-Authorization: Bearer {token}']
        if subprocess.run(command, capture_output=True, text=True).stdout == '200':
            return
        time.sleep(0.1)
    sys.exit(f'no 200 for {url} through {proxy}')


class Pair:
    """Two proxy processes: entry and connector."""

    def __init__(self, name, folder, port):
        self.name, self.folder, self.port, self.processes, self.token = name, folder, port, [], None

    def spawn(self, *command):
        log = open(os.path.join(self.folder, f'{self.name}-{len(self.processes)}.log'), 'w')
        self.processes.append(subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log))

    @property
    def pids(self):
        return [p.pid for p in self.processes]

    def cpu(self):
        return sum(cpu(p) for p in self.pids)

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def certificates(binary, folder):
    subprocess.run([binary, 'certificates', '--directory', folder, '--subaccount', 'bench'], check=True)
    for name in ('service', 'connector'):
        with open(f'{folder}/{name}-both.pem', 'w') as both:
            both.write(open(f'{folder}/{name}.pem').read() + open(f'{folder}/{name}.key').read())


def take_uploads(port):
    """Behind nginx: reads all of each body, whose length it is told, and answers afterwards."""
    listener = socket.create_server(('127.0.0.1', port), reuse_port=True)
    buffer = bytearray(1 << 20)
    while True:
        connection, _ = listener.accept()
        with connection:
            head = b''
            while b'\r\n\r\n' not in head:
                part = connection.recv(65536)
                if not part:
                    break
                head += part
            length = re.search(rb'content-length: (\d+)', head, re.I)
            rest = int(length[1]) - len(head.split(b'\r\n\r\n', 1)[1]) if length else 0
            while rest > 0 and (count := connection.recv_into(buffer)):
                rest -= count
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')


def start_nginx(folder, port):
    os.makedirs(f'{folder}/www', exist_ok=True)
    open(f'{folder}/www/small', 'w').write('x' * 64)
    with open(f'{folder}/www/large', 'wb') as large:
        large.truncate(1 << 30)
    with open(f'{folder}/www/middle', 'wb') as middle:
        middle.truncate(1 << 20)
    threading.Thread(target=take_uploads, args=(port + 1,), daemon=True).start()
    open(f'{folder}/nginx.conf', 'w').write(f'''
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 4096; }}
http {{ access_log off; sendfile on; keepalive_requests 100000000; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/www;
    # Head and body in one write: two may or may not arrive together.
    location /small {{ sendfile off; }}
    location /upload {{ proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://127.0.0.1:{port + 1}; }} }} }}''')
    return subprocess.Popen(['nginx', '-c', f'{folder}/nginx.conf', '-p', folder, '-e', f'{folder}/nginx.err'])


def fetch_token(binary, folder, file):
    for _ in range(100):
        answer = subprocess.run([binary, 'token', '--config', file], cwd=folder, capture_output=True, text=True)
        if answer.returncode == 0:
            return answer.stdout.strip()
        time.sleep(0.2)
    sys.exit(f'no token: {answer.stderr}')


def start_connectord(binary, folder, backend, port, pairs, name='connectord', tokens=False, clients=4096, loops=1, tunnels=1,
                     hosts=('bench',), cloud=''):
    pair = Pair(name, folder, port)
    pairs.append(pair)
    api = f'api: {{listen: "127.0.0.1:{port + 2}", directory: api}}' if tokens else ''
    open(f'{folder}/{name}-cloud.conf', 'w').write(f'''
subaccount: bench
event-loops: {loops}
proxy: {{listen: "127.0.0.1:{port}", authorization: {"token" if tokens else "none"}, max-connections: {clients}}}
admin: {{socket: {name}-cloud.sock}}
{api}
tunnel: {{listen: "127.0.0.1:{port + 1}", certificate: service.pem, private-key: service.key, trusted-ca: ca.pem}}
{cloud}
''')
    systems = ''.join(f'''
  - virtual-host: {host}:80
    internal-host: 127.0.0.1:{backend}
    protocol: HTTP
    resources: [{{path: /, access: path-and-sub-paths}}]''' for host in hosts)
    open(f'{folder}/{name}.conf', 'w').write(f'''
subaccount: bench
event-loops: {loops}
admin: {{socket: {name}.sock}}
tunnel: {{service: "localhost:{port + 1}", connections: {tunnels}, certificate: connector.pem, private-key: connector.key,
  trusted-ca: ca.pem}}
systems:{systems}
''')
    pair.spawn(binary, 'cloud', '--config', f'{name}-cloud.conf')
    time.sleep(0.5)
    pair.spawn(binary, 'run', '--config', f'{name}.conf')
    if tokens:
        pair.token = fetch_token(binary, folder, f'{name}-cloud.conf')
    open(f'{folder}/{name}.lua', 'w').write(lua(pair.token))
    wait_for('http://bench/small', f'127.0.0.1:{port}', pair.token)


# The reverse-HTTP pair as its users run it: the tunnel is chosen by the connector's name, both ends ping, and requests
# that were not processed are retried, all of which connectord does as well.
def start_haproxy(binary, folder, backend, port, pairs, clients=4096):
    pair = Pair('haproxy', folder, port)
    pairs.append(pair)
    common = f'''
global
    expose-experimental-directives
    nbthread 1
    maxconn {clients}
    tune.h2.max-concurrent-streams 1024
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
'''
    open(f'{folder}/edge.cfg', 'w').write(common + f'''
frontend pub
    bind 127.0.0.1:{port}
    use_backend be_rev
frontend tunnels
    bind 127.0.0.1:{port + 1} ssl crt service-both.pem ca-file ca.pem verify required alpn h2 idle-ping 20s
    tcp-request session attach-srv be_rev/connectors name ssl_c_s_dn(CN)
backend be_rev
    http-reuse always
    retries 3
    retry-on all-retryable-errors
    server connectors rhttp@ pool-conn-name str(connector) idle-ping 20s pool-purge-delay 1h
''')
    open(f'{folder}/inner.cfg', 'w').write(common + f'''
frontend fe
    bind "rhttp@be_pre/srv" nbconn 1 idle-ping 10s
    use_backend be
backend be_pre
    server srv 127.0.0.1:{port + 1} ssl ca-file ca.pem verify required verifyhost localhost sni str(localhost) crt connector-both.pem alpn h2
backend be
    http-reuse always
    server web 127.0.0.1:{backend}
''')
    pair.spawn(binary, '-db', '-f', 'edge.cfg')
    time.sleep(0.3)
    pair.spawn(binary, '-db', '-f', 'inner.cfg')
    wait_for('http://bench/small', f'127.0.0.1:{port}')


def lua(token=None, path='small'):
    fields = '["Host"] = "bench", ["User-Agent"] = "bench"'
    if token:
        fields += f', ["Proxy-Authorization"] = "Bearer {token}"'
    return f'''wrk.method = "GET"
local text = wrk.format("GET", "http://bench/{path}", {{{fields}}})
request = function() return text end
'''


def wrk(pair, connections, seconds, path='small'):
    before = pair.cpu()
    script = f'{pair.name}-{path}.lua'
    open(f'{pair.folder}/{script}', 'w').write(lua(pair.token, path))
    output = subprocess.run(
        ['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--latency', '-s', script, f'http://127.0.0.1:{pair.port}/'],
        cwd=pair.folder, capture_output=True, text=True).stdout
    used = pair.cpu() - before
    requests = int(re.search(r'(\d+) requests in', output)[1])
    bad = re.search(r'Non-2xx or 3xx responses: (\d+)', output)
    if bad or 'Socket errors' in output:
        print(f'{pair.name}: {output}', file=sys.stderr)
    unit = {'us': 0.001, 'ms': 1, 's': 1000}
    percentile = lambda p: (lambda m: float(m[1]) * unit[m[2]])(re.search(p + r'%\s+([\d.]+)(us|ms|s)', output))
    return {'requests/s': float(re.search(r'Requests/sec:\s+([\d.]+)', output)[1]), 'p50 ms': percentile('50'),
            'p99 ms': percentile('99'), 'CPU s/1000 requests': used / requests * 1000}


def transfer(pair, arguments, path):
    before, start = pair.cpu(), time.monotonic()
    status, down, up = subprocess.run(
        ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code} %{size_download} %{size_upload}', '-x', f'127.0.0.1:{pair.port}',
         *arguments, f'http://bench/{path}'], cwd=pair.folder, capture_output=True, text=True).stdout.split()
    if status != '200' or int(down) + int(up) < 1 << 30:
        sys.exit(f'{pair.name}: {status} for {path}, {down} bytes down and {up} up')
    return {'MB/s': 1024 * 1.048576 / (time.monotonic() - start), 'CPU s/GiB': pair.cpu() - before}


REQUEST = b'GET http://bench/%s HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\n\r\n'


def read_answer(connection):
    """To the end of the 64 bytes of /small."""
    answer = b''
    while not answer.endswith(b'x' * 64):
        part = connection.recv(65536)
        if not part:
            sys.exit(f'closed after {answer[:200]}')
        answer += part


def new_connections(pair, count=2000):
    """One request on each connection; the client closes it."""
    before, start = pair.cpu(), time.monotonic()
    for _ in range(count):
        with socket.create_connection(('127.0.0.1', pair.port)) as connection:
            connection.sendall(REQUEST % b'small')
            read_answer(connection)
    return {'requests/s': count / (time.monotonic() - start), 'CPU s/1000 requests': (pair.cpu() - before) / count * 1000}


def middle_bodies(pair, seconds):
    """Bodies of 1 MiB on 8 connections."""
    row = wrk(pair, 8, seconds, 'middle')
    return {'MB/s': row['requests/s'] * 1.048576, 'CPU s/GiB': row['CPU s/1000 requests'] * 1.024}


def fixed_rate(pair, seconds, rate=1500):
    """Requests at fixed times on 32 connections in turn: how long each took from the time when it was due."""
    selector, free, due, times, missed = selectors.DefaultSelector(), [], {}, [], 0
    for _ in range(32):
        connection = socket.create_connection(('127.0.0.1', pair.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        free.append(connection)
    before, start = pair.cpu(), time.monotonic()
    for number in range(rate * seconds):
        at = start + number / rate
        while (wait := at - time.monotonic()) > 0 or not free:
            for key, _ in selector.select(max(0, wait)):
                if key.fileobj.recv(65536).endswith(b'x' * 64):
                    times.append(time.monotonic() - due.pop(key.fileobj))
                    free.append(key.fileobj)
        connection = free.pop(0)
        due[connection] = at
        connection.sendall(REQUEST % b'small')
    while due:
        for key, _ in selector.select(5):
            if key.fileobj.recv(65536).endswith(b'x' * 64):
                times.append(time.monotonic() - due.pop(key.fileobj))
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    times.sort()
    return {'p50 ms': times[len(times) // 2] * 1000, 'p99 ms': times[len(times) * 99 // 100] * 1000,
            'CPU s/1000 requests': (pair.cpu() - before) / len(times) * 1000}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--binary', default=os.path.join(HERE, '..', '.build', 'release', 'connectord'))
    p.add_argument('--rounds', type=int, default=6)
    p.add_argument('--seconds', type=int, default=3)
    p.add_argument('--only', default='', help='regular expression over scenario names')
    p.add_argument('--json', help='write the medians to this file')
    o = p.parse_args()
    binary = os.path.abspath(o.binary)
    for tool in ('wrk', 'nginx', 'curl'):
        if not shutil.which(tool):
            sys.exit(f'{tool} is not installed (apt-get install wrk nginx-light curl)')
    folder = tempfile.mkdtemp(prefix='connectord-benchmark-')
    os.chmod(folder, 0o755)  # nginx's worker is another user
    open(f'{folder}/haproxy.lua', 'w').write(lua())
    certificates(binary, folder)
    nginx = start_nginx(folder, 18080)
    pairs = []
    try:
        start_connectord(binary, folder, 18080, 18100, pairs)
        if os.environ.get('HAPROXY'):
            start_haproxy(os.environ['HAPROXY'], folder, 18080, 18200, pairs)
        scenarios = {
            'small, 1 connection': lambda pair: wrk(pair, 1, o.seconds),
            'small, 32 connections': lambda pair: wrk(pair, 32, o.seconds),
            'small, 256 connections': lambda pair: wrk(pair, 256, o.seconds),
            'a new connection for each': new_connections,
            '1500 requests a second': lambda pair: fixed_rate(pair, o.seconds),
            '1 MiB, 8 connections': lambda pair: middle_bodies(pair, o.seconds),
            'download 1 GiB': lambda pair: transfer(pair, [], 'large'),
            'upload 1 GiB': lambda pair: transfer(pair, ['-H', 'Expect:', '-T', 'www/large'], 'upload'),
        }
        scenarios = {k: v for k, v in scenarios.items() if re.search(o.only, k)}
        results = {}
        for _ in range(o.rounds):
            for scenario, measure in scenarios.items():
                for pair in pairs:
                    for name, value in measure(pair).items():
                        results.setdefault((scenario, name), {}).setdefault(pair.name, []).append(value)
        report(results, pairs, o.json)
        for pair in pairs:
            sizes = ' + '.join(f'{memory(pid):.0f}' for pid in pair.pids)
            print(f'{pair.name}: highest resident memory of entry + connector: {sizes} MiB')
    finally:
        for pair in pairs:
            pair.stop()
        nginx.terminate()
        nginx.wait()
        shutil.rmtree(folder, ignore_errors=True)


def report(results, pairs, path):
    medians = {}
    print(f"{'scenario':24}{'figure':22}" + ''.join(f'{pair.name:>14}' for pair in pairs) + ('         ratio' if len(pairs) > 1 else ''))
    for (scenario, name), values in results.items():
        row = {pair.name: statistics.median(values[pair.name]) for pair in pairs}
        medians[f'{scenario}: {name}'] = row
        line = f'{scenario:24}{name:22}' + ''.join(f'{row[pair.name]:14.4f}' for pair in pairs)
        if len(pairs) > 1 and row[pairs[1].name]:
            line += f"{row[pairs[0].name] / row[pairs[1].name]:14.2f}"
        print(line)
    if path:
        json.dump(medians, open(path, 'w'), indent=1)


if __name__ == '__main__':
    main()
