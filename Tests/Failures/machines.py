"""Machines of a test, each a network namespace of its own on one bridge, and what runs on them."""
import os, pwd, shutil, signal, subprocess, time

POSTGRES = '/usr/lib/postgresql/15/bin'


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f'{" ".join(command)}: {done.stdout}{done.stderr}')
    return done.stdout


class Network:
    """Names are known on all machines, as hosts files have them."""

    def __init__(self, folder, machines, aliases):
        self.tag, self.folder = f'cl{os.getpid()}', folder
        self.addresses = {name: f'10.77.0.{11 + n}' for n, name in enumerate(machines)}
        hub = self.space('hub')
        run('ip', 'netns', 'add', hub)
        self.spaces = [hub]
        run('ip', '-n', hub, 'link', 'add', 'bridge', 'type', 'bridge')
        run('ip', '-n', hub, 'link', 'set', 'bridge', 'up')
        names = {**self.addresses}
        lines = ['127.0.0.1 localhost'] + [f'{address} {name}.test' for name, address in names.items()]
        lines += [f'{names[name]} {alias}' for alias, group in aliases.items() for name in group]
        for name, address in self.addresses.items():
            space = self.space(name)
            run('ip', 'netns', 'add', space)
            self.spaces.append(space)
            run('ip', '-n', hub, 'link', 'add', f'to-{name}', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space)
            run('ip', '-n', hub, 'link', 'set', f'to-{name}', 'master', 'bridge', 'up')
            run('ip', '-n', space, 'address', 'add', f'{address}/24', 'dev', 'eth0')
            for link in ('eth0', 'lo'):
                run('ip', '-n', space, 'link', 'set', link, 'up')
            os.makedirs(f'/etc/netns/{space}', exist_ok=True)
            with open(f'/etc/netns/{space}/hosts', 'w') as file:
                file.write('\n'.join(lines) + '\n')
            with open(f'/etc/netns/{space}/host.conf', 'w') as file:
                file.write('multi on\n')

    def space(self, name):
        return f'{self.tag}-{name}'

    def on(self, name, *command):
        return ['ip', 'netns', 'exec', self.space(name), *command]

    def cut(self, one, other):
        """Packets between two machines are lost, both ways, and nobody is told."""
        for name, far in ((one, other), (other, one)):
            rules = f'''table inet cut {{
    chain in {{
        type filter hook input priority 0
        ip saddr {self.addresses[far]} drop
    }}
    chain out {{
        type filter hook output priority 0
        ip daddr {self.addresses[far]} drop
    }}
}}
'''
            run(*self.on(name, 'nft', '-f', '-'), input=rules)

    def heal(self, one, other):
        for name in (one, other):
            run(*self.on(name, 'nft', 'delete', 'table', 'inet', 'cut'))

    def remove(self):
        for space in self.spaces:
            subprocess.run(['ip', 'netns', 'del', space])
            shutil.rmtree(f'/etc/netns/{space}', ignore_errors=True)


class Program:
    """connectord on a machine."""

    def __init__(self, network, machine, folder, *command):
        self.network, self.machine, self.folder, self.command, self.process = network, machine, folder, command, None
        self.log = f'{folder}/{machine}.log'

    def start(self):
        with open(self.log, 'a') as log:
            self.process = subprocess.Popen(self.network.on(self.machine, *self.command), cwd=self.folder, stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60):
            raise RuntimeError(f'{self.machine} did not end in order; see {self.log}')

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None


class Databases:
    """A primary and a synchronous standby, with TLS, on two machines."""

    def __init__(self, network, folder, names, certificate, key):
        self.network, self.names, self.primary = network, names, names[0]
        self.folder = f'{folder}/pg'
        os.makedirs(self.folder)
        self.user = pwd.getpwnam('postgres') if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.processes = {}
        for name in ('server.pem', 'server.key'):
            shutil.copy(certificate if name.endswith('pem') else key, f'{self.folder}/{name}')
            os.chmod(f'{self.folder}/{name}', 0o600)
            os.chown(f'{self.folder}/{name}', self.user.pw_uid, self.user.pw_gid)
        # The way there is for root alone.
        os.chmod(folder, 0o755)
        os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.call(self.primary, 'initdb', '-D', self.data(self.primary), '-A', 'trust', '-U', 'connector', '--locale=C')
        with open(f'{self.data(self.primary)}/pg_hba.conf', 'a') as file:
            file.write('hostssl all all 10.77.0.0/24 trust\nhostssl replication all 10.77.0.0/24 trust\n')
        with open(f'{self.data(self.primary)}/postgresql.conf', 'a') as file:
            file.write(f"""listen_addresses = '*'
unix_socket_directories = ''
ssl = on
ssl_cert_file = '{self.folder}/server.pem'
ssl_key_file = '{self.folder}/server.key'
synchronous_standby_names = '*'
wal_sender_timeout = 3s
""")
        self.start(self.primary)
        # Nobody is there yet to wait for.
        self.sql(self.primary, "ALTER SYSTEM SET synchronous_standby_names = ''")
        self.sql(self.primary, 'SELECT pg_reload_conf()')
        self.join(names[1])

    def data(self, name):
        return f'{self.folder}/{name}'

    def command(self, name, program, *arguments):
        own = ['runuser', '-u', self.user.pw_name, '--'] if os.getuid() == 0 else []
        return self.network.on(name, *own, f'{POSTGRES}/{program}', *arguments)

    def call(self, name, program, *arguments):
        return run(*self.command(name, program, *arguments), cwd='/')

    def sql(self, name, statement):
        return self.call(name, 'psql', '-h', '127.0.0.1', '-U', 'connector', '-At', '-c', statement, 'postgres')

    def start(self, name):
        log = open(f'{self.folder}/../{name}.log', 'a')
        self.processes[name] = subprocess.Popen(self.command(name, 'postgres', '-D', self.data(name)), cwd='/', stdout=log, stderr=log)
        until(lambda: subprocess.run(self.command(name, 'pg_isready', '-q', '-h', '127.0.0.1', '-U', 'connector'), cwd='/').returncode == 0)

    def join(self, name):
        """Makes a standby of the primary, and has commits wait for it."""
        shutil.rmtree(self.data(name), ignore_errors=True)
        self.call(name, 'pg_basebackup', '-h', f'{self.primary}.test', '-U', 'connector', '-D', self.data(name), '-R', '-X', 'stream', '-c', 'fast')
        self.start(name)
        self.sql(self.primary, 'ALTER SYSTEM RESET synchronous_standby_names')
        self.sql(self.primary, 'SELECT pg_reload_conf()')
        until(lambda: self.sql(self.primary, 'SELECT sync_state FROM pg_stat_replication').strip() == 'sync')

    def fail_over(self):
        """The primary dies, and the standby takes its place."""
        lost, self.primary = self.primary, next(name for name in self.names if name != self.primary)
        self.kill(lost)
        self.sql(self.primary, 'SELECT pg_promote()')
        until(lambda: self.sql(self.primary, 'SELECT pg_is_in_recovery()').strip() == 'f')
        self.sql(self.primary, "ALTER SYSTEM SET synchronous_standby_names = ''")
        self.sql(self.primary, 'SELECT pg_reload_conf()')
        return lost

    def kill(self, name):
        pid = open(f'{self.data(name)}/postmaster.pid').readline().strip()
        os.kill(int(pid), signal.SIGQUIT)
        self.processes[name].wait()

    def stop(self):
        for name in self.names:
            try:
                self.kill(name)
            except (OSError, KeyError):
                pass


def until(condition, limit=60, what='a condition'):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f'{what} did not come true within {limit} s')
        time.sleep(0.05)
