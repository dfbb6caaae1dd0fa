#!/usr/bin/env python3
"""Small requests beside stopped and unthrottled downloads through one tunnel.

    Benchmarks/fairness.py          200 small requests a second for some seconds: alone, beside one and sixteen downloads
                                    whose clients have stopped reading, and beside an unthrottled download of 1 GiB

Prints how many were answered and the percentiles of their latency. Exit 1 where one was not answered, or where p99 beside
stopped downloads is above twice its idle value. Needs nginx and curl; build with dev/build-release.sh first.
"""
import argparse, os, socket, statistics, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchmark import HERE
from pairs import certificates, end, start_connectord, start_nginx

PORT = 18100
REQUEST = b'GET http://bench/small HTTP/1.1\r\nHost: bench\r\n\r\n'


def paced(seconds, rate=200, clients=8):
    """Latencies in milliseconds; None for a request that was not answered within five seconds."""
    latencies, start = [], time.monotonic() + 0.1

    def client(number):
        connection = socket.create_connection(('127.0.0.1', PORT), timeout=5)
        for index in range(number, int(rate * seconds), clients):
            due = start + index / rate
            time.sleep(max(0, due - time.monotonic()))
            began = time.monotonic()
            try:
                connection.sendall(REQUEST)
                answer = b''
                while not answer.endswith(b'x' * 64):
                    piece = connection.recv(65536)
                    if not piece:
                        raise OSError
                    answer += piece
                latencies.append((time.monotonic() - began) * 1000)
            except OSError:
                latencies.append(None)
                connection = socket.create_connection(('127.0.0.1', PORT), timeout=5)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def report(name, latencies):
    good = sorted(l for l in latencies if l is not None)
    percentile = lambda p: good[min(len(good) - 1, int(len(good) * p))]
    print(f'{name:36}{len(good):6} of {len(latencies)} answered   p50 {percentile(.5):7.2f} ms   p99 {percentile(.99):7.2f} ms')
    return len(good) == len(latencies), percentile(.99)


def stopped():
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(('127.0.0.1', PORT))
    connection.sendall(REQUEST.replace(b'small', b'large'))
    connection.recv(100)
    return connection


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--binary', default=os.path.join(HERE, '..', '.build', 'release', 'connectord'))
    p.add_argument('--seconds', type=float, default=10)
    o = p.parse_args()
    folder = tempfile.mkdtemp(prefix='connectord-fairness-')
    os.chmod(folder, 0o755)
    certificates(os.path.abspath(o.binary), folder)
    nginx, pairs, isGood = start_nginx(folder, 18080), [], True
    try:
        start_connectord(os.path.abspath(o.binary), folder, 18080, PORT, pairs)
        paced(2)
        answered, idle = report('idle', paced(o.seconds))
        isGood = isGood and answered
        connections = []
        for count in (1, 16):
            while len(connections) < count:
                connections.append(stopped())
            time.sleep(1)  # until windows and buffers are full
            answered, p99 = report(f'beside {count} stopped download{"s" if count > 1 else ""}', paced(o.seconds))
            print(f'{"":36}p99 {p99 / idle:.2f} of idle')
            isGood = isGood and answered and p99 <= 2 * idle
        for connection in connections:
            connection.close()
        stop = threading.Event()

        def download():
            while not stop.is_set():
                subprocess.run(['curl', '-s', '-o', '/dev/null', '-x', f'127.0.0.1:{PORT}', 'http://bench/large'])

        thread = threading.Thread(target=download)
        thread.start()
        answered, p99 = report('beside an unthrottled download', paced(o.seconds))
        print(f'{"":36}p99 {p99 / idle:.2f} of idle')
        isGood = isGood and answered
        stop.set()
        thread.join()
    finally:
        end(pairs, nginx, folder)
    return 0 if isGood else 1


if __name__ == '__main__':
    sys.exit(main())
