#!/usr/bin/env python3
"""What `proxy.authorization: token` costs: CPU per request of entry and connector together, against `none`.

    dev/build-release.sh
    Benchmarks/tokens.py --rounds 24

Two processes of one build differ by several parts in a hundred, by where their memory happens to lie. So every round
starts new pairs, in a new order, and a second pair without tokens is measured as if it were another: what it differs
by is what this machine cannot tell apart. wrk and nginx have one processor, the pair has the other. Needs wrk, nginx,
curl and taskset.
"""
import argparse, os, random, re, shutil, statistics, subprocess, tempfile

from benchmark import HERE
from pairs import certificates, start_connectord, start_nginx

LOAD, PAIR = '0', '1'  # processors


def measure(binary, folder, case, port, seconds):
    """Microseconds of CPU per request, of entry and connector."""
    pairs = []
    try:
        start_connectord(binary, folder, 18080, port, pairs, case, tokens=case == 'token')
        pair = pairs[0]
        for pid in pair.pids:
            subprocess.run(['taskset', '--all-tasks', '--cpu-list', '--pid', PAIR, str(pid)], check=True, stdout=subprocess.DEVNULL)
        load(pair, 1)
        before = pair.cpu()
        requests = load(pair, seconds)
        return (pair.cpu() - before) / requests * 1e6
    finally:
        for pair in pairs:
            pair.stop()


def load(pair, seconds):
    command = ['taskset', '--cpu-list', LOAD, 'wrk', '-t1', '-c32', f'-d{seconds}s', '-s', f'{pair.name}.lua', f'http://127.0.0.1:{pair.port}/']
    output = subprocess.run(command, cwd=pair.folder, capture_output=True, text=True, check=True).stdout
    assert 'Non-2xx' not in output and 'Socket errors' not in output, output
    return int(re.search(r'(\d+) requests in', output)[1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--binary', default=os.path.join(HERE, '..', '.build', 'release', 'connectord'))
    p.add_argument('--rounds', type=int, default=24)
    p.add_argument('--seconds', type=int, default=2)
    o = p.parse_args()
    folder = tempfile.mkdtemp(prefix='connectord-tokens-')
    os.chmod(folder, 0o755)  # nginx's worker is another user
    binary = os.path.abspath(o.binary)
    certificates(binary, folder)
    nginx = start_nginx(folder, 18080)
    subprocess.run(['taskset', '--all-tasks', '--cpu-list', '--pid', LOAD, str(nginx.pid)], check=True, stdout=subprocess.DEVNULL)
    cases, results = ['none', 'none-again', 'token'], {}
    try:
        for _ in range(o.rounds):
            random.shuffle(cases)
            for index, case in enumerate(cases):
                results.setdefault(case, []).append(measure(binary, folder, case, 18100 + 100 * index, o.seconds))
    finally:
        nginx.terminate()
        nginx.wait()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'':12}{'median us':>12}{'mean us':>12}{'deviation':>12}{'median ratio':>14}{'mean ratio':>12}")
    base = results['none']
    for case in sorted(results):
        values = results[case]
        median, mean = statistics.median(values), statistics.mean(values)
        print(f'{case:12}{median:12.2f}{mean:12.2f}{statistics.stdev(values):12.2f}'
              f'{median / statistics.median(base):14.3f}{mean / statistics.mean(base):12.3f}')


if __name__ == '__main__':
    main()
