"""A name node's web service over a folder: the requests that Beam's client makes, and no more.

Written after the WebHDFS REST API of Hadoop's documentation: opening and creating are answered by a
redirection to a data node (here the same server), renaming onto a file that exists is refused but
with `renameoptions=OVERWRITE`, which answers with its code alone, and what fails is a
RemoteException.

    python -m tests.integration.webhdfs PORT FOLDER
"""

from __future__ import annotations

import http.server
import json
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.integration.services import JsonHandler

PREFIX = "/webhdfs/v1"


class NameNode(JsonHandler):
    """Answers for the files of `root`.

    Attributes:
        busy: operations that are refused, as by a name node that has too much to do.
    """

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else each answer waits 40 ms to be acknowledged
    root: Path
    busy: frozenset[str] = frozenset()

    def do_GET(self) -> None:
        operation, path, words = self._asked()
        if operation in self.busy:
            self._refuse(500, "IOException", f"too busy for {operation}")
        elif not path.exists():
            self._refuse(404, "FileNotFoundException", f"File does not exist: {path.name}")
        elif operation == "GETFILESTATUS":
            self.say({"FileStatus": _status(path, "")})
        elif operation == "LISTSTATUS":
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
            rows = [_status(item, item.name if item != path else "") for item in inside]
            self.say({"FileStatuses": {"FileStatus": rows}})
        elif operation == "OPEN" and "datanode" not in words:
            self._redirect()
        elif operation == "OPEN":
            start = int(words.get("offset", 0))
            length = int(words.get("length", path.stat().st_size))
            self._answer(200, path.read_bytes()[start : start + length])
        else:
            self._refuse(400, "UnsupportedOperationException", operation)

    def do_PUT(self) -> None:
        operation, path, words = self._asked()
        data = self._body()
        if operation in self.busy:
            self._refuse(500, "IOException", f"too busy for {operation}")
        elif operation == "MKDIRS":
            path.mkdir(parents=True, exist_ok=True)
            self.say({"boolean": True})
        elif operation == "CREATE" and "datanode" not in words:
            self._redirect()
        elif (
            operation == "CREATE" and path.exists() and words.get("overwrite", "").lower() != "true"
        ):
            self._refuse(403, "FileAlreadyExistsException", f"{path.name} already exists")
        elif operation == "CREATE":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            self._answer(201, b"")
        elif operation == "RENAME":
            target = self.root / words["destination"].lstrip("/")
            replaces = words.get("renameoptions") == "OVERWRITE"
            done = path.exists() and target.parent.is_dir() and (replaces or not target.exists())
            if done:
                path.rename(target)
            if replaces and done:
                self._answer(200, b"")
            elif replaces:
                self._refuse(404, "FileNotFoundException", f"{path.name} or its target's folder")
            else:
                self.say({"boolean": done})
        else:
            self._refuse(400, "UnsupportedOperationException", operation)

    def do_DELETE(self) -> None:
        _, path, words = self._asked()
        there = path.exists()
        if path.is_dir() and any(path.iterdir()) and words.get("recursive", "").lower() != "true":
            self._refuse(403, "PathIsNotEmptyDirectoryException", path.name)
            return
        if path.is_dir():
            shutil.rmtree(path)
        elif there:
            path.unlink()
        self.say({"boolean": there})

    def _asked(self) -> tuple[str, Path, dict[str, str]]:
        asked = urlsplit(self.path)
        words = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if words.get("user.name") != "lab":
            raise ConnectionRefusedError(f"{words.get('user.name')} is nobody here")
        path = unquote(asked.path).removeprefix(PREFIX).lstrip("/")
        return words["op"].upper(), self.root / path, words

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _redirect(self) -> None:
        self.send_response(307)
        self.send_header("Location", f"http://{self.headers['Host']}{self.path}&datanode=1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, code: int, exception: str, message: str) -> None:
        said = {"RemoteException": {"exception": exception, "message": message}}
        self._answer(code, json.dumps(said).encode())

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _status(path: Path, suffix: str) -> dict[str, Any]:
    found = path.stat()
    return {
        "length": 0 if path.is_dir() else found.st_size,
        "modificationTime": int(found.st_mtime * 1000),
        "pathSuffix": suffix,
        "type": "DIRECTORY" if path.is_dir() else "FILE",
    }


if __name__ == "__main__":
    NameNode.root = Path(sys.argv[2])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), NameNode).serve_forever()
