#!/usr/bin/env python3
"""How the work is shared out with several event loops, and what it costs a request to cross from one to another.

    dev/build-release.sh
    Benchmarks/scaling.py

By counts, since two cores cannot show it by time: reads of each event loop's thread (perf's tracepoints) while wrk has 64
connections, with as many tunnels as loops; then instructions per request of all loops together (callgrind) with a tunnel on
the loop that has the client, and with the only tunnel on another one. Needs linux-perf, valgrind, wrk, nginx and root.
"""
import argparse, glob, os, re, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchmark import HERE
from pairs import Pair, certificates, start_connectord, start_nginx
from counts import callgrind, requests


def threads(pid, name):
    """Thread IDs by name: `service 0` and so on."""
    found = {}
    for task in glob.glob(f'/proc/{pid}/task/*'):
        text = open(f'{task}/comm').read().strip()
        if re.fullmatch(name + r' \d+', text):
            found[text] = os.path.basename(task)
    return dict(sorted(found.items(), key=lambda item: int(item[0].split()[1])))


def shares(binary, folder, loops):
    pairs = []
    try:
        start_connectord(binary, folder, 18080, 18100, pairs, loops=loops, tunnels=loops)
        # Until all tunnels are there.
        time.sleep(2)
        wrk = subprocess.Popen(['wrk', '-t1', '-c64', '-d6s', '-s', 'connectord.lua', 'http://127.0.0.1:18100/'], cwd=folder, stdout=subprocess.DEVNULL)
        time.sleep(1)
        for pid, name in zip(pairs[0].pids, ('service', 'connector')):
            counted = {thread: subprocess.Popen(
                ['perf', 'stat', '-x', ',', '-e', 'syscalls:sys_enter_recvfrom', '-t', task, '--', 'sleep', '2'], stderr=subprocess.PIPE, text=True)
                for thread, task in threads(pid, name).items()}
            reads = [int(re.search(r'^(\d+),', process.communicate()[1], re.M)[1]) for process in counted.values()]
            print(f'{loops} event loops, {name}: share of the reads of each: ' + ', '.join(f'{100 * r / sum(reads):.1f} %' for r in reads), flush=True)
        wrk.wait()
    finally:
        for pair in pairs:
            pair.stop()


def loop_instructions(output):
    """Of the event loops: all threads that did more than a tenth of what the busiest one did."""
    totals = [int(found[1]) for file in glob.glob(f'{output}-*')
              if (found := re.search(r'^(?:summary|totals): (\d+)', open(file).read(), re.M))]
    return sum(t for t in totals if t > max(totals) / 10)


def crossing(binary, folder):
    stripped, spawn, results = f'{folder}/connectord', Pair.spawn, {}
    subprocess.run(['strip', '-g', '-o', stripped, binary], check=True)
    for loops in (1, 2):
        counts = []
        for repetitions in (1000, 11000):
            command, output = callgrind([stripped], folder, f'crossing-{loops}-{repetitions}')

            def under_valgrind(self, *arguments):
                spawn(self, *([] if self.processes else command[:-1]), stripped, *arguments[1:])

            Pair.spawn, pairs = under_valgrind, []
            try:
                start_connectord(stripped, folder, 18080, 18100, pairs, loops=loops, tunnels=1)
                subprocess.run(['callgrind_control', '-z', str(pairs[0].pids[0])], check=True, stdout=subprocess.DEVNULL)
                # Connections go to the loops in turn: of two, one is where the tunnel is not.
                for _ in range(2):
                    requests(18100, repetitions // 2, None)
            finally:
                Pair.spawn = spawn
                for pair in pairs:
                    pair.stop()
            counts.append(loop_instructions(output))
        results[loops] = (counts[1] - counts[0]) / 10000
    print(f'instructions per request with one loop {results[1]:.0f}; crossing to another one costs {2 * (results[2] - results[1]):.0f} more', flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--binary', default=os.path.join(HERE, '..', '.build', 'release', 'connectord'))
    o = p.parse_args()
    folder = tempfile.mkdtemp(prefix='connectord-scaling-')
    os.chmod(folder, 0o755)
    binary = os.path.abspath(o.binary)
    certificates(binary, folder)
    nginx = start_nginx(folder, 18080)
    try:
        for loops in (2, 4, 8):
            shares(binary, folder, loops)
        crossing(binary, folder)
    finally:
        nginx.terminate()
        nginx.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
