# SPDX-License-Identifier: GPL-3.0-or-later
"""A model hub on this computer: a real HTTP server with the few endpoints that huggingface_hub uses.

Large files are answered with a redirect to another host name, as the public hub does, which serves byte ranges. What
can go wrong on the way is set on the server: ``cuts`` (after how many bytes each next answer ends), ``damage`` (paths
whose bytes arrive changed), ``sizes`` (wrong announced sizes), ``ranges`` False (byte ranges are ignored).
"""

import hashlib
import socket
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".onnx")


def git_checksum(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class HubServer:
    """``repositories``: {"owner/name": {path: bytes}}; ``tokens``: {token: repositories it opens}."""

    def __init__(self, repositories):
        self.repositories = repositories
        self.gated = set()
        self.tokens = {}
        self.revisions = {"main", COMMIT}
        self.cuts, self.damage, self.sizes, self.ranges = [], set(), {}, True
        self.status = None
        self.requests = []  # (method, path, Range, Authorization)
        self.sent = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def gets(self, path=""):
        """The Range headers of the answers with content whose path ends so."""
        return [given for method, name, given, _ in self.requests if method == "CONTENT" and name.endswith(path)]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        hub, path = self.hub, urllib.parse.unquote(self.path)
        hub.requests.append((self.command, path, self.headers.get("Range"), self.headers.get("Authorization")))
        if hub.status is not None:
            return self._refuse(hub.status)
        if path.startswith("/cdn/"):
            _, _, owner, name, file = path.split("/", 4)
            return self._content(f"{owner}/{name}", file)
        owner, name, _, revision, file = path[1:].split("/", 4)
        return self._resolve(f"{owner}/{name}", revision, file)

    def _resolve(self, repository, revision, file):
        hub, given = self.hub, (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if given and given not in hub.tokens:
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        if repository not in hub.repositories:
            return self._refuse(401, "RepoNotFound")
        if repository in hub.gated and repository not in hub.tokens.get(given, ()):
            return self._refuse(403 if given else 401, "GatedRepo")
        if revision not in hub.revisions:
            return self._refuse(404, "RevisionNotFound")
        if file not in hub.repositories[repository]:
            return self._refuse(404, "EntryNotFound")
        if file.endswith(LARGE):
            content = hub.repositories[repository][file]
            self.send_response(302)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Size", str(hub.sizes.get(file, len(content))))
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Location", f"http://localhost:{hub.port}/cdn/{repository}/{file}?signature=x")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        return self._content(repository, file)

    def _content(self, repository, file):
        hub = self.hub
        file = file.partition("?")[0]
        whole = content = hub.repositories[repository][file]
        if file in hub.damage:
            content = bytes([content[0] ^ 1]) + content[1:]
        begin = 0
        if hub.ranges and (given := self.headers.get("Range")):
            begin = int(given.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if begin else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{git_checksum(whole)}"')
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if self.command == "HEAD":
            return
        hub.requests.append(("CONTENT", f"{repository}/{file}", self.headers.get("Range"), None))
        body = content[begin:]
        cut = hub.cuts.pop(0) if hub.cuts else None
        body = body if cut is None else body[:cut]
        # Before: who has the last byte may look at once.
        hub.sent += len(body)
        self.wfile.write(body)
        if cut is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def _refuse(self, status, code="", message=""):
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if message:
            self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()
