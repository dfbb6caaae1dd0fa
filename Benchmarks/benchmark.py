#!/usr/bin/env python3
"""Measures both connectord processes together against nginx, and an HAProxy reverse-HTTP pair beside them.

    swift build -c release …                      (see docs/performance.md)
    HAPROXY=/path/to/haproxy Benchmarks/benchmark.py --rounds 6

Needs wrk, nginx and curl. Everything listens on loopback and is ended at the end. CPU seconds are user and system
time of the two proxy processes, from /proc; rounds are interleaved, and medians and ratios of medians are printed.
"""
import argparse, json, os, re, shutil, signal, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf('SC_CLK_TCK')


def cpu(pid):
    fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid, key='VmHWM'):
    return int(re.search(key + r':\s+(\d+)', open(f'/proc/{pid}/status').read())[1]) / 1024


def wait_for(url, proxy, token=None):
    for _ in range(100):
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


def start_nginx(folder, port):
    os.makedirs(f'{folder}/www', exist_ok=True)
    open(f'{folder}/www/small', 'w').write('x' * 64)
    with open(f'{folder}/www/large', 'wb') as large:
        large.truncate(1 << 30)
    open(f'{folder}/nginx.conf', 'w').write(f'''
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 4096; }}
http {{ access_log off; sendfile on; keepalive_requests 100000000; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/www;
    # Head and body in one write: two may or may not arrive together.
    location /small {{ sendfile off; }}
    location /upload {{ proxy_request_buffering off; proxy_pass http://127.0.0.1:{port}/discard; }}
    location /discard {{ return 200; }} }} }}''')
    return subprocess.Popen(['nginx', '-c', f'{folder}/nginx.conf', '-p', folder, '-e', f'{folder}/nginx.err'])


def fetch_token(binary, folder, file):
    for _ in range(100):
        answer = subprocess.run([binary, 'token', '--config', file], cwd=folder, capture_output=True, text=True)
        if answer.returncode == 0:
            return answer.stdout.strip()
        time.sleep(0.2)
    sys.exit(f'no token: {answer.stderr}')


def start_connectord(binary, folder, backend, port, pairs, name='connectord', tokens=False):
    pair = Pair(name, folder, port)
    pairs.append(pair)
    api = f'api: {{listen: "127.0.0.1:{port + 2}", directory: api}}' if tokens else ''
    open(f'{folder}/{name}-cloud.conf', 'w').write(f'''
subaccount: bench
event-loops: 1
proxy: {{listen: "127.0.0.1:{port}", authorization: {"token" if tokens else "none"}}}
admin: {{socket: {name}-cloud.sock}}
{api}
tunnel: {{listen: "127.0.0.1:{port + 1}", certificate: service.pem, private-key: service.key, trusted-ca: ca.pem}}
''')
    open(f'{folder}/{name}.conf', 'w').write(f'''
subaccount: bench
event-loops: 1
admin: {{socket: {name}.sock}}
tunnel: {{service: "localhost:{port + 1}", connections: 1, certificate: connector.pem, private-key: connector.key,
  trusted-ca: ca.pem}}
systems:
  - virtual-host: bench:80
    internal-host: 127.0.0.1:{backend}
    protocol: HTTP
    resources: [{{path: /, access: path-and-sub-paths}}]
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
def start_haproxy(binary, folder, backend, port, pairs):
    pair = Pair('haproxy', folder, port)
    pairs.append(pair)
    common = f'''
global
    expose-experimental-directives
    nbthread 1
    maxconn 4096
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


def lua(token=None):
    fields = '["Host"] = "bench", ["User-Agent"] = "bench"'
    if token:
        fields += f', ["Proxy-Authorization"] = "Bearer {token}"'
    return f'''wrk.method = "GET"
local text = wrk.format("GET", "http://bench/small", {{{fields}}})
request = function() return text end
'''


def wrk(pair, connections, seconds):
    before = pair.cpu()
    output = subprocess.run(
        ['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--latency', '-s', f'{pair.name}.lua', f'http://127.0.0.1:{pair.port}/'],
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
    status = subprocess.run(
        ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-x', f'127.0.0.1:{pair.port}', *arguments, f'http://bench/{path}'],
        cwd=pair.folder, capture_output=True, text=True).stdout
    if status != '200':
        sys.exit(f'{pair.name}: {status} for {path}')
    return {'MB/s': 1024 * 1.048576 / (time.monotonic() - start), 'CPU s/GiB': pair.cpu() - before}


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
