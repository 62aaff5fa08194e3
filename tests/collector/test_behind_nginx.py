"""What nginx passes on, on kept connections, is what the collector takes: no more, no less."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collector.answer import PIXEL, Answer
from collector.listening import Place, listen
from collector.networks import parse_ip
from collector.request import Request
from config.kinds import Endpoint

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

SECONDS = 20.0
CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 200; }}
http {{
  log_format counted "$upstream_status $request_method $request_uri";
  access_log {folder}/access counted;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2;
  fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  upstream collector {{ server 127.0.0.1:{port}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{front};
    location / {{
      proxy_pass http://collector; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header Host $host;
      proxy_request_buffering {buffering};
    }}
  }}
}}
"""
HOST = b"Host: t.example.com\r\n"
PLAIN = b"GET /o/plain.gif HTTP/1.1\r\n" + HOST + b"\r\n"
SMUGGLED = b"GET /o/smuggled.gif HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def request(*fields: bytes, method: bytes = b"GET", body: bytes = b"") -> bytes:
    return method + b" /o/x.gif HTTP/1.1\r\n" + HOST + b"".join(fields) + b"\r\n" + body


TALKS = [
    PLAIN * 20,
    request(method=b"HEAD") + PLAIN,
    request(method=b"OPTIONS") + PLAIN,
    request(b"Content-Length: %d\r\n" % len(SMUGGLED), body=SMUGGLED) + PLAIN,
    request(b"Content-Length: %d\r\n" % len(SMUGGLED), method=b"POST", body=SMUGGLED) + PLAIN,
    request(b"Content-Length: 0\r\n", body=SMUGGLED) + PLAIN,
    request(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", body=SMUGGLED),
    request(b"Content-Length: +5\r\n", body=b"aaaaa" + SMUGGLED),
    request(b"Content-Length: 5, 5\r\n", body=b"aaaaa" + SMUGGLED),
    request(b"Content-Length : 5\r\n", body=b"aaaaa" + SMUGGLED),
    request(CHUNKED, body=b"0\r\n\r\n" + SMUGGLED) + PLAIN,
    request(CHUNKED, method=b"POST", body=b"5\r\naaaaa\r\n0\r\n\r\n" + SMUGGLED) + PLAIN,
    request(CHUNKED, b"Content-Length: 4\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    request(b"Transfer-Encoding : chunked\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    request(b"Transfer-Encoding: xchunked\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    request(b"Transfer-Encoding:\x0bchunked\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    request(b"X: y\rTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    request(b"X: y\nTransfer-Encoding: chunked\r\n", body=b"0\r\n\r\n" + SMUGGLED),
    request(CHUNKED, method=b"POST", body=b"5;\naaaaa\r\n0\r\n\r\n" + SMUGGLED),
    request(CHUNKED, method=b"POST", body=b"0x5\r\naaaaa\r\n0\r\n\r\n" + SMUGGLED),
    request(CHUNKED, method=b"POST", body=b"5\r\naaaaa0\r\n\r\n" + SMUGGLED),
    request(CHUNKED, method=b"POST", body=b"0\r\nX: y\r\n\r\n" + SMUGGLED) + PLAIN,
    request(b"Expect: 100-continue\r\n", b"Content-Length: 5\r\n", method=b"POST", body=b"aaaaa"),
    request(b"Upgrade: h2c\r\n", b"Connection: Upgrade\r\n", body=SMUGGLED),
    request(b"Connection: Content-Length\r\n", b"Content-Length: 5\r\n", body=b"aaaaa" + SMUGGLED),
    b"GET /o/x.gif\r\n" + SMUGGLED,
    b"GET /o/x.gif HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n" + SMUGGLED,
    b"GET http://t.example.com/o/x.gif HTTP/1.1\r\n" + HOST + b"\r\n" + PLAIN,
    b"GET /o/%0d%0aHost:%20x HTTP/1.1\r\n" + HOST + b"\r\n" + PLAIN,
    b"GET /c/a//b%2F../%5c?x#y HTTP/1.1\r\n" + HOST + b"\r\n" + PLAIN,
    b"\r\n\r\n" + PLAIN,
]


@asynccontextmanager
async def in_front(folder: Path, port: int, buffering: str) -> AsyncIterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        front = probe.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, port=port, front=front, buffering=buffering)
    )
    nginx = subprocess.Popen(["nginx", "-e", folder / "error", "-c", configuration])  # noqa: ASYNC220 - it goes on at once
    try:
        while not (folder / "pid").exists() or not (folder / "pid").read_text():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        yield front
    finally:
        nginx.terminate()
        await asyncio.to_thread(nginx.wait, 10)


async def talk(port: int, raw: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    try:
        async with asyncio.timeout(0.5):
            while await reader.read(4_096):
                pass
    except (TimeoutError, ConnectionError):
        pass
    writer.close()


@pytest.mark.parametrize("buffering", ["on", "off"])
async def test_what_nginx_passes_on_is_what_is_taken(tmp_path: Path, buffering: str) -> None:
    asked: list[Request] = []

    async def take(request: Request) -> Answer:
        asked.append(request)
        return PIXEL

    place = Place([Endpoint("127.0.0.1", 0)])
    async with asyncio.timeout(SECONDS), listen(place, take) as (port,):
        async with in_front(tmp_path, port, buffering) as front:
            for raw in TALKS:
                await talk(front, raw)
        lines = (tmp_path / "access").read_text().splitlines()
    passed_on = [line.split(" ", 2)[1:] for line in lines if line.startswith(("200", "302", "404"))]
    assert [[one.method, one.target] for one in asked] == passed_on
    assert len(passed_on) > len(TALKS)
    assert {one.client for one in asked} == {parse_ip("127.0.0.1")}
