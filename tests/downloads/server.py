"""A web server on loopback that can be as bad as any: each request takes the next of its file's faults."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Literal

Fault = Literal[
    "busy",  # 503
    "cut off",  # half of what was asked for
    "ignores the range",
    "none of it",  # 416, as for a range beyond the end
    "not there",  # 404
    "other bytes",  # as many, but zeros
    "other part",  # 206, but from the beginning
    "packed",  # says that the bytes are gzip, as some servers do of files that end in .gz
    "says more",  # than it has
    "says less",
    "silent",  # accepts, and sends nothing
    "slow",  # a third, a pause, a third, …
]


@dataclass
class FileServer:
    """The files by name, what goes wrong with each of the next requests for them, and the requests so far."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """The name of the file and the range, in the order of the requests."""

    def serve(self, name: str, content: bytes, *faults: Fault) -> str:
        """The address of a file; the requests after those with faults go well."""
        self.files[name], self.faults[name] = content, list(faults)
        return f"{self.url}/{name}"


@contextmanager
def file_server() -> Iterator[FileServer]:
    """A server for as long as it is needed."""
    server = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, asked = self.path[1:], self.headers.get("Range")
            server.requests.append((name, asked))
            faults = server.faults.get(name)
            _answer(self, server.files.get(name), asked, faults.pop(0) if faults else None)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # clients hang up in the middle

    with Server(("127.0.0.1", 0), Handler) as listening:
        server.url = f"http://127.0.0.1:{listening.server_port}"
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


def _answer(request: BaseHTTPRequestHandler, content: bytes | None, asked: str | None, fault: Fault | None) -> None:
    if content is None or fault in ("not there", "busy", "none of it"):
        request.send_error({"busy": 503, "none of it": 416}.get(fault or "", 404))
        return
    if fault == "silent":
        time.sleep(0.5)
        return
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and fault != "ignores the range" else 0
    if start >= len(content):
        request.send_error(416)
        return
    start = 0 if fault == "other part" else start
    rest = bytes(len(content) - start) if fault == "other bytes" else content[start:]
    request.send_response(206 if asked and fault != "ignores the range" else 200)
    if asked and fault != "ignores the range":
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    if fault == "packed":
        request.send_header("Content-Encoding", "gzip")
    said = len(rest) + {"says more": 5, "says less": -5}.get(fault or "", 0)
    request.send_header("Content-Length", str(said))
    request.end_headers()
    if fault == "slow":
        for begin in range(0, len(rest), len(rest) // 3):
            request.wfile.write(rest[begin : begin + len(rest) // 3])
            time.sleep(0.1)
    else:
        request.wfile.write(rest[: len(rest) // 2] if fault == "cut off" else rest)
