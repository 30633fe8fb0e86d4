import contextlib
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from latent3d.base.errors import UserError
from latent3d.data.datasets.download import Patience, Source, download

CONTENT = np.random.default_rng(0).bytes(600_000)
QUICK = Patience(attempts=3, backoff=0.01, stall=0.5, minimum_bytes=1000)


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; the path says which fault, `server.requests` counts and keeps the Range headers."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        count = len(self.server.requests)
        self.server.requests.append(self.headers.get("Range"))
        fault = self.path.strip("/")
        if fault.isdecimal():
            return self.send_error(int(fault))
        if fault == "busy" and count < 2:
            return self.send_error(503)
        body = b"<html>not the file</html>" if fault == "wrong" else CONTENT
        if fault == "altered":
            body = bytes([body[0] ^ 1]) + body[1:]
        start = 0
        asked = self.headers.get("Range")
        if asked and fault != "norange":
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        body = body[start:]
        if fault != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault in ("breaks", "norange") and count < 3:
            self.wfile.write(body[: 100_000 if fault == "breaks" else 100_000 * (count + 1)])
            self.close_connection = True
        elif fault == "stalls" and count < 2:
            self.wfile.write(body[:150_000])
            self.wfile.flush()
            time.sleep(1.5)
        elif fault == "trickles":
            for i in range(300):
                self.wfile.write(body[i : i + 1])
                time.sleep(0.02)
        elif fault == "slow":
            for i in range(0, len(body), 20_000):
                self.wfile.write(body[i : i + 20_000])
                time.sleep(0.1)
        elif fault == "endless":
            while True:
                self.wfile.write(body)
        else:
            self.wfile.write(body)

    def handle(self):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().handle()


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def source(server, fault):
    return Source(
        f"http://127.0.0.1:{server.server_port}/{fault}",
        len(CONTENT),
        hashlib.md5(CONTENT).hexdigest(),
        "Or set LATENT3D_MIRROR.",
    )


@pytest.mark.parametrize("fault", ["fine", "busy", "breaks", "stalls", "norange"])
def test_download_arrives_whole_in_spite_of(server, tmp_path, fault):
    path = download(source(server, fault), tmp_path / "sub" / "f.bin", QUICK)
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["f.bin"]
    if fault in ("breaks", "stalls"):  # resumed, not begun again
        assert server.requests[1] == f"bytes={100_000 if fault == 'breaks' else 150_000}-"
    requests = len(server.requests)
    download(source(server, fault), path, QUICK)
    assert len(server.requests) == requests, "a right file is not fetched again"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("wrong", r"does not deliver the expected file.*\(25 bytes"),
        ("altered", "does not deliver the expected file"),
        ("endless", "does not deliver the expected file"),
        ("trickles", "could not be fetched after 3 tries"),
        ("404", "answered 404"),
        ("503", r"after 3 tries \(the server answered 503\)"),
    ],
)
def test_failures_end_with_the_remedy_and_no_file(server, tmp_path, fault, message):
    with pytest.raises(UserError, match=message) as caught:
        download(source(server, fault), tmp_path / "f.bin", QUICK)
    assert "LATENT3D_MIRROR" in str(caught.value)
    assert not (tmp_path / "f.bin").exists()
    assert len(server.requests) == (3 if fault in ("503", "trickles") else 1)
    assert (tmp_path / "f.bin.part").exists() == (fault not in ("wrong", "altered", "endless"))


def test_no_server(tmp_path):
    nobody = Source("http://127.0.0.1:9/f", 5, "0" * 32)
    with pytest.raises(UserError, match="no connection"):
        download(nobody, tmp_path / "f.bin", QUICK)


def test_a_wrong_cached_file_or_rest_is_replaced(server, tmp_path):
    path = tmp_path / "f.bin"
    path.write_bytes(b"x" * len(CONTENT))
    download(source(server, "fine"), path, QUICK)
    assert path.read_bytes() == CONTENT
    path.unlink()
    part = tmp_path / "f.bin.part"
    part.write_bytes(b"x" * 1000)  # another file's beginning: found by md5, deleted, right on the next run
    with pytest.raises(UserError, match="does not deliver"):
        download(source(server, "fine"), path, QUICK)
    assert not part.exists()
    assert download(source(server, "fine"), path, QUICK).read_bytes() == CONTENT


SCRIPT = """
import sys
from latent3d.data.datasets.download import Source, download
from latent3d.base.errors import UserError
try:
    download(Source(sys.argv[1], int(sys.argv[2]), sys.argv[3]), sys.argv[4])
except UserError as error:
    sys.exit(f"latent3d: {error}")
"""


def run(server, fault, path, **options):
    wanted = source(server, fault)
    command = [sys.executable, "-c", SCRIPT, wanted.url, str(wanted.size), wanted.md5, str(path)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def test_kill_9_leaves_no_file_and_the_next_run_resumes(server, tmp_path):
    path, part = tmp_path / "f.bin", tmp_path / "f.bin.part"
    process = run(server, "slow", path)
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 50_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(UserError, match="Another process"):
        download(source(server, "fine"), path, QUICK)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not path.exists()
    have = part.stat().st_size
    assert 50_000 < have < len(CONTENT)
    assert download(source(server, "fine"), path, QUICK).read_bytes() == CONTENT
    assert server.requests[-1] == f"bytes={have}-"


def test_full_disk_is_a_plain_error_and_the_next_run_resumes(server, tmp_path):
    path = tmp_path / "f.bin"
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # noqa: E731
    process = run(server, "fine", path, preexec_fn=limit)
    _, message = process.communicate(timeout=30)
    assert process.returncode == 1
    assert message.startswith("latent3d: Cannot write") and message.count("\n") == 1
    assert not path.exists() and (tmp_path / "f.bin.part").stat().st_size == 200_000
    assert download(source(server, "fine"), path, QUICK).read_bytes() == CONTENT
