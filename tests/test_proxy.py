"""The proxy of `api/deploy/nginx.conf` before a real server, where this machine has nginx; its limits everywhere."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.gate import DEFAULT_SECONDS
from api.schemas import MAX_BODY
from tests.servers import gunicorn
from tests.test_api import Office

FILE = Path(__file__).resolve().parent.parent / "api" / "deploy" / "nginx.conf"


@pytest.fixture(name="local")
def _local(sqlite_url: str) -> Iterator[Office]:
    made = Office(sqlite_url)
    made.account()
    yield made
    made.close()


def test_its_limits_agree_with_ours() -> None:
    words = FILE.read_text("utf-8")
    assert f"client_max_body_size {MAX_BODY // 1024}k;" in words
    read = re.search(r"proxy_read_timeout (\d+)s;", words)
    assert read is not None
    assert int(read[1]) > DEFAULT_SECONDS
    assert "proxy_next_upstream off;" in words


@pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not on this machine; the file's limits are compared"
)
def test_a_slow_client_is_the_proxys_and_the_log_names_the_caller(local: Office, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with gunicorn(local.url, "-w", "1", "--threads", "2", LEDGER_TRUSTED_PROXIES="127.0.0.1") as behind:
        served = FILE.read_text("utf-8").replace("127.0.0.1:8080", f"127.0.0.1:{behind.port}")
        served = re.sub(r"    ssl_certificate.*\n", "", served).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
        paths = "".join(
            f"{name}_temp_path {tmp_path / name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf = tmp_path / "nginx.conf"
        conf.write_text(
            f"daemon off; master_process off; pid {tmp_path / 'pid'}; error_log {tmp_path / 'error.log'};\n"
            f"events {{}}\nhttp {{ access_log off; {paths}\n{served} }}\n"
        )
        checked = subprocess.run(["nginx", "-t", "-c", str(conf)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        nginx = subprocess.Popen(["nginx", "-c", str(conf)], stderr=subprocess.PIPE)
        try:
            deadline = time.monotonic() + 10
            while True:
                try:
                    slow = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(15)]
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            for client in slow:
                client.sendall(b"GET /v1/accounts HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            asking = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            asking.request("GET", "/v1/accounts/C-1", headers={**local.headers("agent"), "X-Forwarded-For": "6.6.6.6"})
            assert asking.getresponse().status == 200
            asking.close()
            statuses = []
            for _ in range(80):  # more than the burst
                one = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                one.request("GET", "/v1/accounts/C-1", headers=local.headers("agent"))
                statuses.append(one.getresponse().status)
                one.close()
            assert {200, 429} == set(statuses)
            for client in slow:
                client.close()
        finally:
            nginx.terminate()
            nginx.communicate(timeout=10)
        logged = behind.stop()[1]
    assert "by=ana from=127.0.0.1" in logged
    assert "6.6.6.6" not in logged
