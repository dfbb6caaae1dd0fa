#!/usr/bin/env python3
"""Two measures that a noisy machine does not touch, compared with those in counts.json.

    Benchmarks/counts.py            measure and compare; exit 1 where instructions grew by more than a twentieth, or calls by a tenth
    Benchmarks/counts.py --write    measure and keep
    Benchmarks/counts.py --gate     only instructions per request and per new connection, as CI does

System calls per request and process at 32 connections, by perf's tracepoints: needs linux-perf, wrk, nginx and root.
Instructions by callgrind, as the difference between many and few repetitions: per request of each process, per request on
a connection of its own, per policy look-up (with ten and with 100,000 mappings) and per head parsed. Needs valgrind; build with dev/build-release.sh first.
"""
import argparse, glob, json, os, re, shutil, socket, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchmark import HERE, read_answer
from pairs import Pair, certificates, start_connectord, start_nginx

FILE = os.path.join(HERE, 'counts.json')
CALLS = {'read': ['read', 'recvfrom', 'readv', 'recvmsg'], 'write': ['write', 'sendto', 'writev', 'sendmsg'],
         'epoll_wait': ['epoll_wait', 'epoll_pwait'], 'epoll_ctl': ['epoll_ctl']}


def system_calls(binary, folder, results):
    nginx, pairs = start_nginx(folder, 18480), []
    try:
        start_connectord(binary, folder, 18480, 18500, pairs)
        events = ','.join(f'syscalls:sys_enter_{c}' for group in CALLS.values() for c in group)
        load = subprocess.Popen(
            ['wrk', '-t1', '-c32', '-d8s', '-s', 'connectord.lua', 'http://127.0.0.1:18500/'], cwd=folder, stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        counted = [subprocess.Popen(['perf', 'stat', '-x', ',', '-e', events, '-p', str(pid), '--', 'sleep', '5'],
                                    stderr=subprocess.PIPE, text=True) for pid in pairs[0].pids]
        texts = [process.communicate()[1] for process in counted]
        rate = float(re.search(r'Requests/sec:\s+([\d.]+)', load.communicate()[0])[1])
        for name, text in zip(('service', 'connector'), texts):
            for call, variants in CALLS.items():
                total = sum(int(m) for v in variants for m in re.findall(rf'^(\d+),,syscalls:sys_enter_{v},', text, re.M))
                results[f'{call} calls per request, {name}, 32 connections'] = round(total / 5 / rate, 2)
    finally:
        for pair in pairs:
            pair.stop()
        nginx.terminate()
        nginx.wait()


def callgrind(command, folder, name):
    output = f'{folder}/callgrind.{name}'
    return ['valgrind', '--tool=callgrind', '--separate-threads=yes', f'--callgrind-out-file={output}', *command], output


def total(output):
    """Of the busiest thread, which is the event loop: what others do each second depends on how long a run takes."""
    return max(int(found[1]) for file in glob.glob(f'{output}-*')
               if (found := re.search(r'^(?:summary|totals): (\d+)', open(file).read(), re.M)))


def micro(folder, results):
    environment = dict(os.environ, CONNECTOR_BENCHMARKS='1')
    scratch = os.path.join(HERE, '..', '.build', 'benchmarks')
    subprocess.run(['swift', 'build', '-c', 'release', '--product', 'Microbenchmarks', '--scratch-path', scratch],
                   cwd=os.path.join(HERE, '..'), env=environment, check=True, stdout=subprocess.DEVNULL)
    binary = f'{folder}/micro'
    subprocess.run(['strip', '-g', '-o', binary, f'{scratch}/release/Microbenchmarks'], check=True)
    for case, name in (('policy-10', 'instructions per policy look-up, 10 mappings'),
                       ('policy-100000', 'instructions per policy look-up, 100,000 mappings'),
                       ('head', 'instructions per request head parsed (12 fields, 780 octets)')):
        counts = []
        for repetitions in (1000, 11000):
            command, output = callgrind([binary, case, str(repetitions)], folder, case)
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            counts.append(total(output))
        results[name] = round((counts[1] - counts[0]) / 10000)


def requests(port, count, token, fresh=False):
    if fresh:
        for _ in range(count):
            requests(port, 1, token)
        return
    connection = socket.create_connection(('127.0.0.1', port))
    head = 'GET http://bench/small HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\n'
    if token:
        head += f'Proxy-Authorization: Bearer {token}\r\n'
    for _ in range(count):
        connection.sendall(f'{head}\r\n'.encode())
        read_answer(connection)
    connection.close()


def per_request(binary, folder, results):
    stripped = f'{folder}/connectord'
    subprocess.run(['strip', '-g', '-o', stripped, binary], check=True)
    spawn = Pair.spawn
    nginx = start_nginx(folder, 18480)
    try:
        # Once before, so that no run that counts makes keys.
        pairs = []
        try:
            start_connectord(stripped, folder, 18480, 18500, pairs, tokens=True)
        finally:
            for pair in pairs:
                pair.stop()
        for index, name, tokens, fresh in ((0, 'service', False, False), (0, 'service with tokens', True, False),
                                           (1, 'connector', False, False), (0, 'service', False, True)):
            counts = []
            for repetitions in (200, 2200):
                command, output = callgrind([stripped], folder, f'{name}-{fresh}'.replace(' ', '-'))

                def under_valgrind(self, *arguments):
                    own = len(self.processes) == index
                    spawn(self, *(command[:-1] if own else []), stripped, *arguments[1:])

                Pair.spawn, pairs = under_valgrind, []
                try:
                    start_connectord(stripped, folder, 18480, 18500, pairs, tokens=tokens)
                    # Until there is a tunnel a start refuses requests, now more and now fewer: they do not count.
                    subprocess.run(['callgrind_control', '-z', str(pairs[0].pids[index])], check=True,
                                   stdout=subprocess.DEVNULL)
                    requests(18500, repetitions, pairs[0].token, fresh)
                finally:
                    Pair.spawn = spawn
                    for pair in pairs:
                        pair.stop()
                counts.append(total(output))
            how = 'a connection for each' if fresh else '1 connection'
            results[f'instructions per request, {name}, {how}'] = round((counts[1] - counts[0]) / 2000)
    finally:
        nginx.terminate()
        nginx.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--binary', default=os.path.join(HERE, '..', '.build', 'release', 'connectord'))
    p.add_argument('--write', action='store_true')
    p.add_argument('--gate', action='store_true')
    o = p.parse_args()
    binary = os.path.abspath(o.binary)
    folder = tempfile.mkdtemp(prefix='connectord-counts-')
    os.chmod(folder, 0o755)
    results = {}
    try:
        certificates(binary, folder)
        if not o.gate:
            micro(folder, results)
        per_request(binary, folder, results)
        if not o.gate and shutil.which('perf') and shutil.which('wrk'):
            system_calls(binary, folder, results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    kept = json.load(open(FILE)) if os.path.exists(FILE) else {}
    grown = False
    for name, value in results.items():
        before = kept.get(name)
        # Calls per request vary with the batches: a tenth, and at least a tenth of a call.
        limit = 0 if before is None else before * 1.05 if 'instructions' in name else max(before * 1.1, before + 0.1)
        worse = before is not None and value > limit
        grown = grown or worse
        print(f'{name:64}{value:>10}' + (f'   was {before}' if before not in (None, value) else '') + ('  GREW' if worse else ''))
    if o.write:
        json.dump({**kept, **results}, open(FILE, 'w'), indent=1)
    return 1 if grown and not o.write else 0


if __name__ == '__main__':
    sys.exit(main())
