"""The pairs of proxies that are measured, each with an entry and a connector, and the internal host behind all of them."""
import os, re, shutil, signal, socket, subprocess, sys, threading, time

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

    @property
    def all_pids(self):
        """With those that they have started, of which sshd has one for each connection."""
        found = self.pids
        for pid in found:
            found += [int(p) for p in open(f'/proc/{pid}/task/{pid}/children').read().split()]
        return found

    def cpu(self):
        return sum(cpu(p) for p in self.all_pids)

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def end(pairs, nginx, folder):
    """Of a measurement: nothing of it is left."""
    for pair in pairs:
        pair.stop()
    nginx.terminate()
    nginx.wait()
    shutil.rmtree(folder, ignore_errors=True)


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
    # Into the page cache: the first pair to send it is not slower than the others.
    subprocess.run(['cat', f'{folder}/www/large'], stdout=subprocess.DEVNULL, check=True)
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


def lua(token=None, path='small'):
    fields = '["Host"] = "bench", ["User-Agent"] = "bench"'
    if token:
        fields += f', ["Proxy-Authorization"] = "Bearer {token}"'
    return f'''wrk.method = "GET"
local text = wrk.format("GET", "http://bench/{path}", {{{fields}}})
request = function() return text end
'''
