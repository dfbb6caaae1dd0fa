#!/usr/bin/env python3
"""Three services, a PostgreSQL with a synchronous standby, four connectors and 32 clients, each on a machine of its own, while programs are
killed, networks cut, the database fails over and everything is upgraded. Prints for each time what was sent, answered and failed, and why.

    dev/test-cluster.sh [PROGRAM]        some of each
    dev/test-cluster.sh [PROGRAM] long   fifty kills

What must hold: a request that has nothing to do with what died is answered; one that has fails within a second after a death, and with the
right cause; no request is without an end, and no answer is another one's.
"""
import asyncio, collections, os, random, shutil, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from load import Load
from machines import Databases, Network, Program, run, until

SERVICES = ['s1', 's2', 's3']
# Two side by side, and two alone.
CONNECTORS = {'north': 'side', 'south': 'side', 'plant': 'plant', 'depot': 'depot'}
MACHINES = ['db1', 'db2', *SERVICES, *CONNECTORS, 'load']
BACKEND = '''
import asyncio, random
async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode()
            await asyncio.sleep(random.random() * 0.1)
            body = head.split()[1].removeprefix("/x/").encode()
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
    except (OSError, asyncio.IncompleteReadError):
        writer.close()
async def main():
    await (await asyncio.start_server(serve, "127.0.0.1", 8000)).serve_forever()
asyncio.run(main())
'''


def certificates(folder):
    openssl = lambda *arguments: run('openssl', *arguments, cwd=folder)
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'db-ca.key')
    openssl('req', '-x509', '-new', '-key', 'db-ca.key', '-subj', '/CN=db', '-days', '2', '-out', 'db-ca.pem')
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'db.key')
    openssl('req', '-new', '-key', 'db.key', '-subj', '/CN=db', '-out', 'request')
    with open(f'{folder}/extensions', 'w') as file:
        file.write('subjectAltName=DNS:db1.test,DNS:db2.test\n')
    openssl('x509', '-req', '-in', 'request', '-CA', 'db-ca.pem', '-CAkey', 'db-ca.key', '-days', '2', '-set_serial', '7',
            '-extfile', 'extensions', '-out', 'db.pem')


class Cluster:
    def __init__(self, connectord, folder):
        self.connectord, self.folder = connectord, folder
        self.network = Network(folder, MACHINES, {'services.test': SERVICES})
        certificates(folder)
        self.databases = Databases(self.network, folder, ['db1', 'db2'], f'{folder}/db.pem', f'{folder}/db.key')
        self.programs, self.backends = {}, []
        with open(f'{folder}/store.key', 'w') as file:
            file.write('k' * 40)
        os.chmod(f'{folder}/store.key', 0o600)
        for name in SERVICES:
            self.write(f'{name}.conf', f'''subaccount: test
proxy: {{listen: "0.0.0.0:20003", connection-binding: relaxed}}
tunnel: {{listen: "0.0.0.0:20443", ping-interval: 1s}}
store: {{url: "postgresql://connector@db1.test,db2.test/postgres?sslmode=verify-full&sslrootcert={folder}/db-ca.pem", key-file: store.key}}
peers: {{name: {name}, listen: "0.0.0.0:20445", advertise: "{name}.test:20445"}}
enrolment: {{service-names: [services.test], advertise: "services.test:20443"}}
admin: {{socket: {name}.sock}}
''')
        for name, location in CONNECTORS.items():
            beside = f'replicas: active\ninstance: {name}\n' if location == 'side' else ''
            self.write(f'{name}.conf', f'''subaccount: test
location-id: {location}
{beside}tunnel: {{service: "services.test:20443", connections: 1, ping-interval: 1s, certificate: {name}.pem, private-key: {name}.key, trusted-ca: {name}-ca.pem}}
check: {{interval: "off"}}
admin: {{socket: {name}.sock, listen: "off"}}
systems:
  - {{virtual-host: "backend.test:80", internal-host: "127.0.0.1:8000", protocol: HTTP, resources: [{{path: /x, access: path-and-sub-paths}}]}}
''')
        for name in SERVICES:
            self.programs[name] = Program(self.network, name, folder, connectord, 'cloud', '--config', f'{name}.conf')
        for name in CONNECTORS:
            self.programs[name] = Program(self.network, name, folder, connectord, 'run', '--config', f'{name}.conf')

    def write(self, name, text):
        with open(f'{self.folder}/{name}', 'w') as file:
            file.write(text)

    def command(self, machine, *arguments):
        return run(*self.network.on(machine, self.connectord, *arguments), cwd=self.folder)

    def start(self):
        self.command('s1', 'store', 'migrate', '--config', 's1.conf')
        for name in SERVICES:
            self.programs[name].start()
        until(lambda: all(self.status(name) for name in SERVICES), what='all services run')
        for name, location in CONNECTORS.items():
            backend = subprocess.Popen(self.network.on(name, sys.executable, '-c', BACKEND), stderr=subprocess.DEVNULL)
            self.backends.append(backend)
            output = self.command('s1', 'enrol', 'create', '--config', 's1.conf', '--subaccount', 'test', '--location-id', location)
            token = next(word for word in output.split() if word.startswith('cce1_'))
            self.command(name, 'enrol', token, '--config', f'{name}.conf')
            self.programs[name].start()
        self.settle()

    def status(self, name):
        done = subprocess.run(self.network.on(name, self.connectord, 'status', '--cloud', '--socket', f'{name}.sock'),
                              cwd=self.folder, capture_output=True, text=True)
        # It fails while there is no tunnel, and says what there is all the same.
        return done.stdout

    def settle(self):
        """Until each service has a tunnel of each connector, and all know each other."""
        def stands(name):
            status = self.status(name)
            return (status.count('1 tunnel, from') == 2 and status.count('2 tunnels, from') == 1 and 'DOES NOT ANSWER' not in status
                    and status.count('beside ') == len(SERVICES) - 1 and 'AWAY' not in status and 'NOT KNOWN' not in status)
        until(lambda: all(stands(name) for name in SERVICES), what='each service has all tunnels')

    def stop(self):
        for program in self.programs.values():
            if program.is_running:
                program.kill()
        for backend in self.backends:
            backend.kill()
            backend.wait()
        self.databases.stop()
        self.network.remove()


class Event:
    """Something that goes wrong, and what it may touch."""

    def __init__(self, kind, name, may_fail, causes, within=None):
        self.kind, self.name, self.may_fail, self.causes, self.within = kind, name, may_fail, causes, within
        self.began = self.ended = None


LOST_TUNNEL = ['502 source=tunnel', '503 source=tunnel']
LOST_SERVICE = ['connection refused', 'connection broken']


def kill(cluster, load, name):
    if name in SERVICES:
        # What goes to it, and what it was handed over, or hands over, for a moment.
        event = Event('kill', name, lambda r: True, LOST_SERVICE + LOST_TUNNEL, within=1)
        event.direct = name
    else:
        location = CONNECTORS[name]
        event = Event('kill', name, lambda r: r.location == location, LOST_TUNNEL, within=1)
    event.began = time.monotonic()
    cluster.programs[name].kill()
    if name in load.balanced:
        # As its load balancer notices.
        time.sleep(0.2)
        load.balanced.remove(name)
    time.sleep(0.8)
    cluster.programs[name].start()
    cluster.settle()
    if name in SERVICES:
        load.balanced.append(name)
    event.ended = time.monotonic()
    return event


def cut(cluster, load, one, other):
    locations = {CONNECTORS[n] for n in (one, other) if n in CONNECTORS}
    services = {n for n in (one, other) if n in SERVICES}
    # In flight on the tunnel that is cut, for as long as two pings take; what came by a hop through it, too.
    event = Event('cut', f'{one} from {other}', lambda r: not locations or r.location in locations, LOST_TUNNEL)
    if not locations and not services:
        event.may_fail = lambda r: False
    event.began = time.monotonic()
    cluster.network.cut(one, other)
    time.sleep(random.uniform(2, 6))
    cluster.network.heal(one, other)
    cluster.settle()
    event.ended = time.monotonic()
    return event


def fail_over(cluster, load):
    event = Event('failover', cluster.databases.primary, lambda r: False, [])
    event.began = time.monotonic()
    lost = cluster.databases.fail_over()
    time.sleep(1)
    # What was acknowledged is there, and can be changed again.
    until(lambda: enrols(cluster), what='enrolment after the failover')
    cluster.databases.join(lost)
    cluster.settle()
    event.ended = time.monotonic()
    return event


def enrols(cluster):
    try:
        return 'cce1_' in cluster.command('s2', 'enrol', 'create', '--config', 's2.conf', '--subaccount', 'test', '--location-id', 'spare')
    except RuntimeError:
        return False


def upgrade(cluster, load):
    # Each ends in order: what is in flight is finished. A connector that has nobody beside it is away for a moment.
    event = Event('upgrade', 'all', lambda r: r.location != 'side' or r.outcome in LOST_SERVICE, LOST_TUNNEL + LOST_SERVICE)
    event.began = time.monotonic()
    for name in [*SERVICES, *CONNECTORS]:
        if name in load.balanced:
            load.balanced.remove(name)
            time.sleep(0.3)
        cluster.programs[name].stop()
        cluster.programs[name].start()
        cluster.settle()
        if name in SERVICES:
            load.balanced.append(name)
    event.ended = time.monotonic()
    return event


def disturb(cluster, load, isLong):
    events = []
    plan = [('kill', name) for name in (SERVICES + list(CONNECTORS)) * (8 if isLong else 1)][:50]
    plan += [('cut', pair) for pair in [('s1', 'plant'), ('s2', 'north'), ('s1', 's3'), ('s3', 'db1')] * (3 if isLong else 1)]
    plan += [('failover', None)] * (3 if isLong else 1)
    random.shuffle(plan)
    # After all of that has happened.
    for kind, name in plan + [('upgrade', None)]:
        print(f'{kind} {name or ""}', flush=True)
        match kind:
            case 'kill': events.append(kill(cluster, load, name))
            case 'cut': events.append(cut(cluster, load, *name))
            case 'failover': events.append(fail_over(cluster, load))
            case 'upgrade': events.append(upgrade(cluster, load))
        time.sleep(1)
    return events


def judge(load, events):
    """Prints the table, and returns what must not be."""
    faults, quiet = [], 'nothing'
    table = collections.defaultdict(lambda: collections.Counter())
    for request in load.requests:
        if request.ended is None:
            faults.append(f'LOST: {request.service} {request.location} has no end')
            continue
        during = [e for e in events if request.sent <= e.ended and request.ended >= e.began]
        event = during[-1] if during else None
        key = f'{event.kind} {event.name}' if event else quiet
        table[key]['sent'] += 1
        if request.outcome == 'answered':
            table[key]['answered'] += 1
            continue
        table[key][request.outcome.split(':')[0] if not request.outcome.startswith('LOST') else 'LOST'] += 1
        where = f'{key}: {request.service} {request.location}: {request.outcome}'
        if request.outcome.startswith('LOST'):
            faults.append(where)
        elif event is None or not event.may_fail(request):
            faults.append(f'not touched by it: {where}')
        elif not any(request.outcome.startswith(cause) for cause in event.causes):
            faults.append(f'not the cause: {where}')
        elif getattr(event, 'direct', request.service) != request.service and request.outcome in LOST_SERVICE:
            faults.append(f'another service: {where}')
        elif event.within and request.outcome != 'connection refused' and request.sent < event.began and request.ended > event.began + event.within:
            faults.append(f'after {request.ended - event.began:.1f} s: {where}')
    print(f'{"during":<28} {"sent":>7} {"answered":>9} {"failed":>7}  why')
    for key, counts in table.items():
        sent, answered = counts.pop('sent', 0), counts.pop('answered', 0)
        why = ', '.join(f'{count} {cause}' for cause, count in counts.most_common())
        print(f'{key:<28} {sent:>7} {answered:>9} {sent - answered:>7}  {why}')
    print(f'lost: {sum("LOST" in fault for fault in faults)}')
    return faults


def main():
    connectord, isLong = os.path.abspath(sys.argv[1]), 'long' in sys.argv[2:]
    seed = int(os.environ.get('SEED', time.time()))
    random.seed(seed)
    folder = tempfile.mkdtemp(prefix='cluster-')
    cluster, isKept = None, True
    try:
        cluster = Cluster(connectord, folder)
        cluster.start()
        load = Load({name: cluster.network.addresses[name] for name in SERVICES}, sorted(set(CONNECTORS.values())))
        thread = threading.Thread(target=in_space, args=(cluster.network.space('load'), lambda: asyncio.run(load.run(32))))
        thread.start()
        try:
            time.sleep(3)
            events = disturb(cluster, load, isLong)
            time.sleep(2)
        finally:
            load.isOver = True
            thread.join()
        faults = judge(load, events)
        for fault in faults[:40]:
            print(f'FAULT {fault}')
        isKept = bool(faults)
        return 1 if faults else 0
    finally:
        if cluster:
            cluster.stop()
        print(f'seed {seed}' + (f', logs in {folder}' if isKept else ''))
        if not isKept:
            shutil.rmtree(folder, ignore_errors=True)


def in_space(space, body):
    """Runs on another machine, with this thread only."""
    with open(f'/run/netns/{space}') as file:
        os.setns(file.fileno(), os.CLONE_NEWNET) if hasattr(os, 'setns') else setns(file.fileno())
    body()


def setns(descriptor):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0x40000000):
        raise OSError(ctypes.get_errno(), 'setns')


if __name__ == '__main__':
    sys.exit(main())
