#!/usr/bin/env python3
"""Small requests for one virtual host while another one is asked for a hundred times its share, and more.

    Benchmarks/neighbours.py [--rounds 3] [--seconds 8]

Both hosts may have 200 requests a second (limits.per-virtual-host). One gets 200 a second on 4 connections; the other as many as
400 and 4,000 connections can ask for, and as many as 100 that are new for each request can. Prints percentiles of the first one's
latency: medians of interleaved rounds. Exit 1 where its p99 beside a neighbour is above one and a quarter of its p99 alone;
with much shorter rounds it is one of a few requests, and chance.

As root, with two processors: the service has one to itself; on the other, the neighbour's load gets only what connector, internal
host and the measuring client leave over, as if it ran somewhere else. Otherwise the figures show the load, too, and do not decide.
Needs nginx and wrk; build with dev/build-release.sh first.
"""
import argparse, os, re, selectors, shutil, socket, statistics, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchmark import HERE
from pairs import certificates, cpu, end, start_connectord, start_nginx

PORT, SHARE = 18100, 200
IS_ALONE = os.geteuid() == 0 and os.cpu_count() > 1 and bool(shutil.which('chrt'))


def measure(seconds):
    """Runs as a process of its own: latencies in milliseconds of requests at fixed times."""
    connections = [socket.create_connection(('127.0.0.1', PORT)) for _ in range(4)]
    times, start = [], time.monotonic() + 0.05
    for index in range(int(SHARE * 0.9 * seconds)):
        at = start + index / (SHARE * 0.9)
        while (wait := at - time.monotonic()) > 0:
            time.sleep(wait)
        began, connection, answer = time.monotonic(), connections[index % 4], b''
        connection.sendall(b'GET http://bench/small HTTP/1.1\r\nHost: bench\r\n\r\n')
        while not answer.endswith(b'x' * 64):
            part = connection.recv(65536)
            if not part:
                sys.exit(f'refused: {answer[:200]}')
            answer += part
        times.append((time.monotonic() - began) * 1000)
    times.sort()
    print(*(times[int(len(times) * p)] for p in (0.5, 0.9, 0.99)))


def churn(count, seconds):
    """Runs as a process of its own: a new connection for each request, so many at a time."""
    end, selector, done = time.monotonic() + seconds, selectors.DefaultSelector(), 0

    def connect():
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(('127.0.0.1', PORT))
        selector.register(connection, selectors.EVENT_WRITE)

    for _ in range(count):
        connect()
    while time.monotonic() < end:
        for key, events in selector.select(1):
            try:
                if events & selectors.EVENT_WRITE:
                    key.fileobj.send(b'GET http://neighbour/small HTTP/1.1\r\nHost: neighbour\r\n\r\n')
                    selector.modify(key.fileobj, selectors.EVENT_READ)
                    continue
                key.fileobj.recv(65536)
            except OSError:
                pass
            selector.unregister(key.fileobj)
            key.fileobj.close()
            done += 1
            connect()
    print(f'Requests/sec: {done / seconds:.0f}')


def apart(pids, processor, priority=None):
    for pid in pids if IS_ALONE else []:
        subprocess.run(['taskset', '-apc', str(processor), str(pid)], stdout=subprocess.DEVNULL, check=True)
        if priority:
            subprocess.run(['chrt', '-a', '-f', '-p', str(priority), str(pid)], check=True)


def children(pid):
    return [int(p) for p in open(f'/proc/{pid}/task/{pid}/children').read().split()]


def run(folder, service, neighbour, seconds):
    load = subprocess.Popen((['taskset', '-c', '1', 'nice', '-n', '19'] if IS_ALONE else []) + neighbour, cwd=folder,
                            stdout=subprocess.PIPE, text=True) if neighbour else None
    time.sleep(1)  # until all of them are connected
    before = cpu(service)
    own = (['taskset', '-c', '1', 'chrt', '-f', '20'] if IS_ALONE else []) + [sys.executable, __file__, 'measure', str(seconds)]
    output = subprocess.run(own, capture_output=True, text=True, check=True).stdout
    used, rate = (cpu(service) - before) / seconds, 0.0
    if load:
        rate = float(re.search(r'Requests/sec:\s+([\d.]+)', load.communicate()[0])[1])
    return *map(float, output.split()), used, rate


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--binary', default=os.path.join(HERE, '..', '.build', 'release', 'connectord'))
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--seconds', type=int, default=8)
    o = p.parse_args()
    binary = os.path.abspath(o.binary)
    folder = tempfile.mkdtemp(prefix='connectord-neighbours-')
    os.chmod(folder, 0o755)
    certificates(binary, folder)
    open(f'{folder}/neighbour.lua', 'w').write(
        'wrk.method = "GET"\nlocal text = wrk.format("GET", "http://neighbour/small", {["Host"] = "neighbour"})\n'
        'request = function() return text end\n')
    nginx, pairs, rows = start_nginx(folder, 18080), [], {}
    last = str(o.seconds + 2)
    wrk = lambda count: ['wrk', '-t1', f'-c{count}', f'-d{last}s', '-s', 'neighbour.lua', f'http://127.0.0.1:{PORT}/']
    neighbours = {
        'nothing': None,
        '400 connections': wrk(400),
        '4,000 connections': wrk(4000),
        '100 new connections at a time': [sys.executable, os.path.abspath(__file__), 'churn', '100', last],
    }
    try:
        start_connectord(binary, folder, 18080, PORT, pairs, clients=9000, hosts=('bench', 'neighbour'),
                         cloud=f'limits: {{per-virtual-host: {{requests-per-second: {SHARE}}}}}')
        service, connector = pairs[0].pids
        apart([service], 0)
        apart([connector, nginx.pid, *children(nginx.pid)], 1, 10)
        for _ in range(o.rounds):
            for name, neighbour in neighbours.items():
                rows.setdefault(name, []).append(run(folder, service, neighbour, o.seconds))
    finally:
        end(pairs, nginx, folder)
    print(f'{"beside":32}{"p50 ms":>9}{"p90 ms":>9}{"p99 ms":>9}{"to alone":>10}{"service":>10}{"answers/s to it":>17}')
    isGood, alone = True, statistics.median(row[2] for row in rows['nothing'])
    for name, values in rows.items():
        p50, p90, p99, used, rate = map(statistics.median, zip(*values))
        print(f'{name:32}{p50:9.2f}{p90:9.2f}{p99:9.2f}{p99 / alone:10.2f}{used:9.0%} {rate:17.0f}')
        isGood = isGood and p99 <= 1.25 * alone
    return 0 if isGood or not IS_ALONE else 1


if __name__ == '__main__':
    if sys.argv[1:2] == ['measure']:
        measure(int(sys.argv[2]))
    elif sys.argv[1:2] == ['churn']:
        churn(int(sys.argv[2]), float(sys.argv[3]))
    else:
        sys.exit(main())
