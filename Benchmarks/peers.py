"""Peers of the benchmark, as their users run them, each where it is installed."""
import os, shutil, subprocess, time

from pairs import Pair, wait_for


def start_peers(folder, backend, port, pairs):
    """Starts what there is, each on ten ports of its own from `port` on."""
    for start, program in ((start_haproxy, os.environ.get('HAPROXY')), (start_nginx_pair, shutil.which('nginx')),
                           (start_stunnel, shutil.which('stunnel')), (start_ssh, shutil.which('sshd'))):
        if program:
            start(program, folder, backend, port, pairs)
        port += 10


# The reverse-HTTP pair as its users run it: the tunnel is chosen by the connector's name, both ends ping, and requests
# that were not processed are retried, all of which connectord does as well.
def start_haproxy(binary, folder, backend, port, pairs, clients=4096):
    pair = Pair('haproxy', folder, port)
    pairs.append(pair)
    common = f'''
global
    expose-experimental-directives
    nbthread 1
    maxconn {clients}
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


def start_nginx_pair(binary, folder, backend, port, pairs):
    """No tunnel: the entry connects to the inside, which has to be reachable. With kept connections on both ways."""
    pair = Pair('nginx', folder, port)
    pairs.append(pair)
    for name, server, upstream in (
        ('nginx-edge', f"""listen 127.0.0.1:{port} backlog=4096;
            location / {{ proxy_pass https://inside; proxy_ssl_certificate {folder}/connector.pem;
              proxy_ssl_certificate_key {folder}/connector.key; proxy_ssl_trusted_certificate {folder}/ca.pem; proxy_ssl_verify on;
              proxy_ssl_name localhost; proxy_ssl_protocols TLSv1.3; }}""", port + 1),
        ('nginx-inner', f"""listen 127.0.0.1:{port + 1} ssl backlog=4096; ssl_certificate {folder}/service.pem;
            ssl_certificate_key {folder}/service.key; ssl_client_certificate {folder}/ca.pem; ssl_verify_client on;
            ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
            location / {{ proxy_pass http://inside; }}""", backend),
    ):
        temporary = '\n'.join(f'{kind}_temp_path {folder}/{name}-{kind};' for kind in ('proxy', 'fastcgi', 'uwsgi', 'scgi'))
        open(f'{folder}/{name}.conf', 'w').write(f"""
daemon off; master_process off; pid {folder}/{name}.pid; error_log {folder}/{name}.err;
events {{ worker_connections 9000; }}
http {{ access_log off; keepalive_requests 100000000; client_max_body_size 0; client_body_temp_path {folder}/{name}-body; {temporary}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_request_buffering off; proxy_buffering off;
  upstream inside {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000000; }}
  server {{ {server} }} }}""")
        pair.spawn(binary, '-c', f'{folder}/{name}.conf', '-p', folder, '-e', f'{folder}/{name}.err')
    wait_for('http://bench/small', f'127.0.0.1:{port}')


def start_stunnel(binary, folder, backend, port, pairs):
    """No tunnel either: a TLS connection for each connection, and no look at what goes through."""
    pair = Pair('stunnel', folder, port)
    pairs.append(pair)
    for name, own, text in (('edge', 'connector', f'client = yes\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{port + 1}'),
                            ('inner', 'service', f'accept = 127.0.0.1:{port + 1}\nconnect = 127.0.0.1:{backend}')):
        open(f'{folder}/stunnel-{name}.conf', 'w').write(
            f'foreground = yes\npid =\nsyslog = no\n[s]\n{text}\ncert = {folder}/{own}.pem\nkey = {folder}/{own}.key\n'
            f'CAfile = {folder}/ca.pem\nverifyChain = yes\nciphersuites = TLS_AES_128_GCM_SHA256\n')
        pair.spawn(binary, f'{folder}/stunnel-{name}.conf')
    wait_for('http://bench/small', f'127.0.0.1:{port}')


def start_ssh(binary, folder, backend, port, pairs):
    """A tunnel that is dialled from the inside, and no look at what goes through: ssh -R."""
    pair = Pair('ssh -R', folder, port)
    pairs.append(pair)
    for name in ('ssh-host', 'ssh-user'):
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', f'{folder}/{name}'], check=True)
    if os.geteuid() == 0:
        os.makedirs('/run/sshd', exist_ok=True)
    open(f'{folder}/sshd.conf', 'w').write(
        f'ListenAddress 127.0.0.1:{port + 1}\nHostKey {folder}/ssh-host\nAuthorizedKeysFile {folder}/ssh-user.pub\nStrictModes no\n'
        f'UsePAM no\nPidFile none\nPermitRootLogin yes\nCiphers aes128-gcm@openssh.com\nMaxSessions 1000\n')
    pair.spawn(binary, '-D', '-e', '-f', f'{folder}/sshd.conf')
    time.sleep(0.5)
    pair.spawn('ssh', '-N', '-F', 'none', '-i', f'{folder}/ssh-user', '-p', str(port + 1), '-o', 'StrictHostKeyChecking=no', '-o',
               f'UserKnownHostsFile={folder}/known', '-o', 'ExitOnForwardFailure=yes', '-R',
               f'127.0.0.1:{port}:127.0.0.1:{backend}', '127.0.0.1')
    wait_for('http://bench/small', f'127.0.0.1:{port}')
