#!/usr/bin/env python3
"""Measures both connectord processes together, and pairs of peers beside them: HAProxy's reverse HTTP, nginx, stunnel and ssh -R.

    swift build -c release …                      (see docs/performance.md)
    HAPROXY=/path/to/haproxy Benchmarks/benchmark.py --rounds 5 --seconds 2 --json result.json --table result.md

Needs wrk, nginx and curl; stunnel and sshd are measured where they are installed, HAProxy where HAPROXY names a program of version 3.
Everything listens on loopback and is ended at the end. CPU seconds are user and system time of the processes of a pair, from /proc;
rounds are interleaved, and medians are printed, with their ratio to HAProxy's.
"""
import argparse, json, os, re, selectors, shutil, socket, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from pairs import certificates, end, lua, memory, start_connectord, start_nginx
from peers import start_peers


def wrk(pair, connections, seconds, path='small'):
    before = pair.cpu()
    script = f'wrk-{path}.lua'
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
    p.add_argument('--no-peers', dest='peers', action='store_false', help='connectord alone')
    p.add_argument('--json', help='write the medians to this file')
    p.add_argument('--table', help='write the table of docs/performance.md to this file')
    o = p.parse_args()
    binary = os.path.abspath(o.binary)
    for tool in ('wrk', 'nginx', 'curl'):
        if not shutil.which(tool):
            sys.exit(f'{tool} is not installed (apt-get install wrk nginx-light curl)')
    folder = tempfile.mkdtemp(prefix='connectord-benchmark-')
    os.chmod(folder, 0o755)  # nginx's worker is another user
    certificates(binary, folder)
    nginx = start_nginx(folder, 18080)
    pairs = []
    try:
        start_connectord(binary, folder, 18080, 18100, pairs)
        if o.peers:
            start_peers(folder, 18080, 18200, pairs)
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
        report(results, pairs, o)
        for pair in pairs:
            sizes = ' + '.join(f'{memory(pid):.0f}' for pid in pair.pids)
            print(f'{pair.name}: highest resident memory of entry + connector: {sizes} MiB')
    finally:
        end(pairs, nginx, folder)


def report(results, pairs, options):
    medians, names = {}, [pair.name for pair in pairs]
    yardstick = 'haproxy' if 'haproxy' in names else None
    print(f"{'scenario':26}{'figure':22}" + ''.join(f'{name:>12}' for name in names) + ('   to haproxy' if yardstick else ''))
    for (scenario, figure), values in results.items():
        row = medians.setdefault(f'{scenario}: {figure}', {name: statistics.median(values[name]) for name in names})
        line = f'{scenario:26}{figure:22}' + ''.join(f'{row[name]:12.4f}' for name in names)
        print(line + (f"{row['connectord'] / row[yardstick]:13.2f}" if yardstick and row[yardstick] else ''))
    if options.json:
        json.dump(medians, open(options.json, 'w'), indent=1)
    if options.table:
        open(options.table, 'w').write(table(medians, names, yardstick))


def table(medians, names, yardstick):
    """What docs/performance.md shows, in Markdown."""
    shown = lambda value: f'{value:,.0f}'.replace(',', ' ') if value >= 100 else f'{value:.3g}'
    lines = ['| scenario | figure | ' + ' | '.join(names) + (' | to HAProxy |' if yardstick else ' |')]
    lines.append('|---|---|' + '---|' * (len(names) + (1 if yardstick else 0)))
    last = None
    for key, row in medians.items():
        scenario, figure = key.split(': ', 1)
        cells = [scenario if scenario != last else '', figure, *(shown(row[name]) for name in names)]
        last = scenario
        if yardstick:
            ratio = f"{row['connectord'] / row[yardstick]:.2f}" if row[yardstick] else ''
            cells.append(f'**{ratio}**' if figure.startswith('CPU') else ratio)
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    main()
