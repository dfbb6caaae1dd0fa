"""WebSocket through the proxy with clients of others: the package websockets (client and server), Node, and Chromium.

    upgrade.py PROXY-PORT SERVER-PORT VIRTUAL-HOST NODE-SCRIPT
"""

import asyncio
import subprocess
import sys
import time

import websockets
from selenium import webdriver

proxy, port, host, script = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
url = f"ws://{host}/ws"


def check(what, is_true):
    print("ok" if is_true else "FAILED", what)
    if not is_true:
        raise SystemExit(1)


async def serve(connection):
    await connection.send("the server speaks first")
    async for message in connection:
        await connection.send(message)


async def python_client():
    async with websockets.connect(url, proxy=f"http://127.0.0.1:{proxy}", max_size=32 << 20, subprotocols=["mqtt"]) as client:
        check("Python: the server speaks first", await client.recv() == "the server speaks first")
        check("Python: the subprotocol is the server's choice", client.subprotocol == "mqtt")
        for message in ("text", "ü" * 1000, bytes(16 << 20)):
            await client.send(message)
            check(f"Python: {len(message)} come back", await client.recv() == message)
        await (await client.ping())
        check("Python: a ping is answered by the server", True)
    check("Python: closed in order", client.close_code == 1000)
    try:
        async with websockets.connect(f"ws://{host}/closed", proxy=f"http://127.0.0.1:{proxy}"):
            check("a path without upgrade-allowed", False)
    except websockets.InvalidStatus as error:
        check("Python: what is not allowed is 403", error.response.status_code == 403)


async def many():
    """A thousand at once, each with its own words."""

    async def one(number):
        async with websockets.connect(url, proxy=f"http://127.0.0.1:{proxy}", open_timeout=60) as client:
            await client.recv()
            await client.send(str(number))
            return await client.recv() == str(number)

    done = await asyncio.gather(*(one(number) for number in range(300)))
    check("Python: 300 at once", all(done))


def chromium():
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--proxy-server=http://127.0.0.1:{proxy}"):
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        driver.get("data:text/html,<title>x</title>")
        driver.execute_script(
            """
            window.seen = [];
            const socket = new WebSocket(arguments[0]);
            socket.onmessage = (event) => { window.seen.push(event.data); if (window.seen.length === 1) socket.send("from Chromium"); else socket.close(1000); };
            socket.onclose = (event) => window.seen.push(event.code);
            """,
            url,
        )
        end = time.monotonic() + 30
        while time.monotonic() < end and len(driver.execute_script("return window.seen")) < 3:
            pass
        seen = driver.execute_script("return window.seen")
        check(f"Chromium: {seen}", seen == ["the server speaks first", "from Chromium", 1000])
    finally:
        driver.quit()


def choose(_, offered):
    return "mqtt" if "mqtt" in offered else None


async def main():
    async with websockets.serve(serve, "127.0.0.1", port, max_size=32 << 20, select_subprotocol=choose):
        await python_client()
        await many()
        node = await asyncio.to_thread(
            subprocess.run, ["node", script, str(proxy), host], capture_output=True, text=True, timeout=60
        )
        print(node.stdout + node.stderr, end="")
        check("Node", node.returncode == 0)
        await asyncio.to_thread(chromium)


asyncio.run(main())
