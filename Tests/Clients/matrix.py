"""Six clients that nobody here wrote against eight internal hosts that nobody here wrote, through proxy and tunnel.

    matrix.py hosts FOLDER            starts the hosts, prints lines of connector.conf for them, and serves until its input ends
    matrix.py clients PROXY FOLDER    runs every client against every host; exit status 1 if any answer is not as it should be

Each host serves FOLDER; each client asks for a small file, one of 1 MiB, one that is missing, and for a head alone.
"""

import hashlib
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent

ASGI = """
import pathlib
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    file = pathlib.Path(FOLDER + scope["path"])
    body = file.read_bytes() if file.is_file() else b"none"
    head = {"type": "http.response.start", "status": 200 if file.is_file() else 404,
            "headers": [(b"content-length", str(len(body)).encode())]}
    await send(head)
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
"""

WSGI = """
import pathlib
def app(environ, start_response):
    file = pathlib.Path(FOLDER + environ["PATH_INFO"])
    start_response("200 OK" if file.is_file() else "404 Not Found", [("Content-Type", "text/plain")])
    return [file.read_bytes() if file.is_file() else b"none"]
"""

NODE = """
const http = require("http"), fs = require("fs");
http.createServer((request, response) => {
  fs.readFile(process.argv[2] + request.url, (error, body) => {
    response.writeHead(error ? 404 : 200, { "Content-Type": "text/plain" });
    response.end(error ? "none" : body);
  });
}).listen(Number(process.argv[1]), "127.0.0.1");
"""

NGINX = """
daemon off; pid {work}/nginx.pid; error_log {work}/nginx.log; events {{}}
http {{ access_log off; client_body_temp_path {work}; proxy_temp_path {work}; fastcgi_temp_path {work}; uwsgi_temp_path {work};
scgi_temp_path {work}; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}
"""

LIGHTTPD = """
server.document-root = "{folder}"
server.bind = "127.0.0.1"
server.port = {port}
"""

APACHE = """
ServerName localhost
ServerRoot {work}
PidFile {work}/apache.pid
ErrorLog {work}/apache.log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
DocumentRoot {folder}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def hosts(folder):
    """Commands of the hosts by name, each with its port."""
    work = pathlib.Path(folder).parent / "hosts"
    work.mkdir(exist_ok=True)
    # Apache and nginx give up root's rights.
    for path in (work.parent, work, pathlib.Path(folder)):
        path.chmod(0o755)
    (work / "asgi_app.py").write_text(f"FOLDER = {folder!r}\n" + ASGI)
    (work / "wsgi_app.py").write_text(f"FOLDER = {folder!r}\n" + WSGI)
    found = {}
    for name in ["python", "busybox", "node", "uvicorn", "waitress", "nginx", "lighttpd", "apache"]:
        port = free_port()
        for server, text in (("nginx", NGINX), ("lighttpd", LIGHTTPD), ("apache", APACHE)):
            if name == server:
                (work / f"{name}.conf").write_text(text.format(folder=folder, port=port, work=work))
        found[name] = port, {
            "python": [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", folder,
                       "--protocol", "HTTP/1.1"],
            "busybox": ["busybox", "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", folder],
            "node": ["node", "-e", NODE, str(port), folder],
            "uvicorn": [sys.executable, "-m", "uvicorn", "--port", str(port), "--app-dir", str(work), "asgi_app:app"],
            "waitress": [sys.executable, "-m", "waitress", f"--listen=127.0.0.1:{port}", "wsgi_app:app"],
            "nginx": ["/usr/sbin/nginx", "-c", str(work / "nginx.conf")],
            "lighttpd": ["/usr/sbin/lighttpd", "-D", "-f", str(work / "lighttpd.conf")],
            "apache": ["/usr/sbin/apache2", "-X", "-f", str(work / "apache.conf")],
        }[name], work
    return found


def serve(folder):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    processes = []
    try:
        for name, (port, command, work) in hosts(folder).items():
            output = open(work / f"{name}.out", "w")
            processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=work))
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            else:
                sys.exit(f"{name} does not listen: {(work / f'{name}.out').read_text()}")
            print(f'  - {{virtual-host: "{name}.test:80", internal-host: "127.0.0.1:{port}", protocol: HTTP, '
                  f'resources: [{{path: /, access: path-and-sub-paths}}]}}')
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


# Clients: each gives status and body for a method and a URL.


def curl(proxy, method, url):
    head = ["-I"] if method == "HEAD" else []
    got = subprocess.run(["curl", "-s", "-x", proxy, "-w", "\n%{http_code}", *head, url], capture_output=True, timeout=60)
    body, _, status = got.stdout.rpartition(b"\n")
    return int(status), b"" if method == "HEAD" else body


def wget(proxy, method, url):
    more = ["--method=HEAD"] if method == "HEAD" else []
    got = subprocess.run(
        ["wget", "-q", "-S", "-O", "-", "--content-on-error", "--tries=1", *more, url], capture_output=True, timeout=60,
        env={**os.environ, "http_proxy": proxy},
    )
    lines = [line.strip() for line in got.stderr.decode().splitlines() if line.strip().startswith("HTTP/1.")]
    return int(lines[-1].split()[1]), got.stdout


def urllib_client(proxy, method, url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
    try:
        with opener.open(urllib.request.Request(url, method=method), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def requests_client(proxy, method, url):
    import requests

    answer = requests.request(method, url, proxies={"http": proxy}, timeout=60)
    return answer.status_code, answer.content


def httpx_client(proxy, method, url):
    import httpx

    with httpx.Client(proxy=proxy, timeout=60) as client:
        answer = client.request(method, url)
        return answer.status_code, answer.content


def node(proxy, method, url):
    script = """
      const http = require("http"), proxy = new URL(process.argv[1]);
      const request = http.request({ host: proxy.hostname, port: proxy.port, method: process.argv[2], path: process.argv[3],
        headers: { Host: new URL(process.argv[3]).host } }, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => process.stdout.write(Buffer.concat([Buffer.from(response.statusCode + "\\n"), ...parts])));
      });
      request.end();
    """
    got = subprocess.run(["node", "-e", script, proxy, method, url], capture_output=True, timeout=60)
    status, _, body = got.stdout.partition(b"\n")
    return int(status), body


CLIENTS = {
    "curl": curl, "wget": wget, "urllib": urllib_client, "requests": requests_client, "httpx": httpx_client, "node": node,
}
HOSTS = ["python", "busybox", "node", "uvicorn", "waitress", "nginx", "lighttpd", "apache"]


def main():
    if sys.argv[1] == "hosts":
        return serve(sys.argv[2])
    proxy, folder = sys.argv[2], pathlib.Path(sys.argv[3])
    small, large = (folder / "small.txt").read_bytes(), (folder / "large.bin").read_bytes()
    bad = 0
    for host in HOSTS:
        for name, client in CLIENTS.items():
            for method, path, status, body in [
                ("GET", "/small.txt", 200, small), ("GET", "/large.bin", 200, large), ("GET", "/missing", 404, None),
                ("HEAD", "/small.txt", 200, b""),
            ]:
                try:
                    found, content = client(proxy, method, f"http://{host}.test{path}")
                except Exception as error:  # whatever a client says
                    found, content = type(error).__name__, str(error).encode()
                # busybox knows no HEAD of what it serves, and says so itself.
                if host == "busybox" and method == "HEAD" and found == 501:
                    continue
                if found != status or (body is not None and content != body):
                    bad += 1
                    print(f"{name} with {host}: {method} {path}: {found}, {len(content)} bytes, {content[:200]!r}")
    count = len(HOSTS) * len(CLIENTS) * 4
    print(f"{count - bad} of {count} answers of {len(HOSTS)} hosts reach {len(CLIENTS)} clients as they are")
    sys.exit(1 if bad else 0)


main()
