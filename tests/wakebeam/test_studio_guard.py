"""What the studio refuses: other pages, other names, other folders, what is no label, too much."""

from __future__ import annotations

import dataclasses
import http.client
import http.server
import itertools
import json
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import numpy as np
import pytest

from tests.audio_factory import write
from tests.browser import open_page
from tests.wakebeam.studio_client import (
    HOSTILE,
    Studio,
    files_of,
    open_recording,
    studio,
    talk,
    wait_until_saved,
)

AGREED = "speaker=anna&licence=CC0-1.0&consent=agreed&takes=1"


@pytest.fixture(scope="module")
def open_studio(folder) -> Iterator[Studio]:
    with studio(folder) as one:
        yield one


def test_only_the_page_with_the_token_gets_in(open_studio, folder) -> None:
    before = files_of(folder.parent)
    ask, name = open_studio.ask, "?name=monday.wav"
    labels = json.dumps({"revision": "", "labels": []})
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    upgrade["Sec_WebSocket_Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    sockets = (f"/socket/record?rate=16000&{AGREED}&keyword=k", "/socket/listen?rate=16000")
    assert ask("GET", "/api/recordings")[0] == 200
    assert ask("GET", "/api/recordings", Sec_Fetch_Site="same-origin")[0] == 200
    assert ask("GET", "/api/recordings", Origin="")[0] == 200
    for wrong in (
        {"Cookie": ""},
        {"Cookie": f"wakebeam-{open_studio.port}=x"},
        {"Cookie": f"wakebeam-{open_studio.port}=é"},
        {"Host": f"evil.example:{open_studio.port}"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": f"http://localhost:{open_studio.port}"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ):
        for path in sockets:
            assert ask("GET", path, **upgrade, **wrong)[0] == 403, wrong
        for path in ("/", "/api/recordings", f"/api/recording{name}", "/files/studio.js"):
            assert ask("GET", path, **wrong)[0] == 403, wrong
        assert ask("PUT", f"/api/labels{name}", labels, **wrong)[0] == 403, wrong
    assert ask("PUT", f"/api/labels{name}", labels, Origin="")[0] == 403
    assert ask("POST", f"/api/proposals{name}", "", Origin="")[0] == 403
    assert ask("GET", "/?token=wrong", Cookie="")[0] == 403
    for path in sockets:
        assert ask("GET", path, Origin="", **upgrade)[0] == 403
    assert files_of(folder.parent) == before, "nothing was written"


def test_only_what_lies_in_the_folder_is_read_or_written(open_studio, folder) -> None:
    outside = write(folder.parent / "outside.wav", np.zeros(16000))
    (folder / "link.wav").symlink_to(outside)
    (folder.parent / "secret.txt").write_text("0.0\t1.0\tsecret\n")
    secret = folder.parent / "secret.txt"
    before = files_of(folder.parent)
    labels = json.dumps({"revision": "", "labels": []})
    (folder / "monday.txt").symlink_to(secret)
    for method, path in (("GET", "recording"), ("PUT", "labels")):
        status, said = open_studio.ask(method, f"/api/{path}?name=monday.wav", labels)
        assert status == 400, "labels that lie elsewhere"
        assert b"is a link" in said
    (folder / "monday.txt").unlink()
    (folder / ".monday.txt.writing").symlink_to(secret)
    assert open_studio.ask("PUT", "/api/labels?name=monday.wav", labels)[0] == 200
    assert secret.read_text() == "0.0\t1.0\tsecret\n"
    (folder / "monday.txt").unlink()
    for name in (
        "../outside.wav",
        str(outside),
        "link.wav",
        "later/../../outside.wav",
        "..%2foutside.wav",
        "\0",
        "",
        ".",
        "later",
        "../secret.txt",
        "x" * 5000,
    ):
        read = ("recording", "stretch", "sound", "take", "training", "output", "validation")
        for path in (*read, "validation/scene"):
            if path in ("training", "output") and name in (".", "later"):
                continue  # folders inside, in which nothing was trained
            query = f"/api/{path}?name={quote(name)}&from_s=0&to_s=1"
            assert open_studio.ask("GET", query)[0] == 404, name
        assert open_studio.ask("PUT", f"/api/labels?name={quote(name)}", labels)[0] == 404
    for path in ("/files/../guard.py", "/files/%2e%2e%2fguard.py", "/files/dataset.js", "/etc"):
        assert open_studio.ask("GET", path)[0] == 404
    (folder / "link.wav").unlink()
    before.pop(str(folder / "link.wav"))
    assert files_of(folder.parent) == before


def test_two_gigabytes_and_wrong_labels_are_refused(open_studio, folder) -> None:
    before = files_of(folder)
    status, _ = open_studio.ask(
        "PUT", "/api/labels?name=monday.wav", b"{" + b" " * (5 << 20), Content_Length=str(2 << 30)
    )
    assert status == 413
    good = {"onset_s": 0.5, "offset_s": 1.0, "label": "kw"}
    for rows in (
        [good | {"offset_s": 0.4}],
        [good | {"onset_s": -1}],
        [good | {"onset_s": float("nan")}],
        [good | {"label": "a\tb"}],
        [good | {"label": 3}],
        [good | {"path": "x"}],
        [good, good],
        "labels",
        None,
    ):
        body = json.dumps({"revision": "", "labels": rows})
        status, said = open_studio.ask("PUT", "/api/labels?name=monday.wav", body)
        assert (status, list(json.loads(said))) == (400, ["error"]), rows
    for body in ("", "[]", "{}", "{" * 10_000):
        assert open_studio.ask("PUT", "/api/labels?name=monday.wav", body)[0] == 400
    for query in ("from_s=0&to_s=1e9", "from_s=nan&to_s=1", "from_s=5&to_s=4", "from_s=-1&to_s=1"):
        assert open_studio.ask("GET", f"/api/stretch?name=monday.wav&{query}")[0] == 400
    assert open_studio.ask("GET", "/api/recording?name=broken.wav")[0] == 400
    assert files_of(folder) == before


def test_an_upload_without_a_length_is_refused_too(open_studio, folder) -> None:
    before = files_of(folder)
    connection = http.client.HTTPConnection("127.0.0.1", open_studio.port, timeout=30)
    pieces = itertools.chain([b"{"], itertools.repeat(b" " * (1 << 20), 6))
    connection.request(
        "PUT",
        f"{open_studio.below}/api/labels?name=monday.wav",
        body=pieces,
        headers=open_studio.own_headers | {"Transfer-Encoding": "chunked"},
        encode_chunked=True,
    )
    assert connection.getresponse().status == 413
    connection.close()
    assert files_of(folder) == before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("keyword=..%2f..&speaker=s&licence=l&consent=agreed", "needed"),
        ("keyword=%00&speaker=s&licence=l&consent=agreed", "needed"),
        ("keyword=k&speaker=..%2f&licence=l&consent=agreed", "needed"),
        ("keyword=k&speaker=s&licence=%0a&consent=agreed", "needed"),
        ("keyword=k&speaker=s&licence=l", "has not agreed"),
        ("keyword=k&speaker=s&licence=l&consent=", "has not agreed"),
        (f"keyword=k&{AGREED}&takes=-1", "takes"),
        (f"keyword=k&{AGREED}&ambient=1e9", "ambient"),
        (f"keyword=k&{AGREED}&ambient=nan", "ambient"),
        (f"keyword=k&{AGREED}&ambient=120&rate=384000", "two hours"),
        (f"keyword=k&{AGREED}&rate=1e9", "rate"),
        (f"keyword=k&{AGREED}&channels=99", "channels"),
    ],
)
def test_what_is_no_recording_is_refused(open_studio, folder, asked: str, said: str) -> None:
    before = files_of(folder.parent)
    rate = "" if "rate=" in asked else "&rate=16000"
    (told,) = talk(open_studio, f"/socket/record?{asked.replace('takes=1&', '')}{rate}")
    assert said in told["error"]
    assert files_of(folder.parent) == before


def test_takes_of_any_names_lie_in_the_folder_of_takes(open_studio, folder) -> None:
    names = {"keyword": "../../evil/k", "speaker": "../../s", "licence": "../../CC0\n../l"}
    asked = urlencode(names | {"consent": "agreed", "takes": "1", "rate": "16000"})
    quiet, tone = bytes(3200), (9000 * np.sin(np.arange(1600))).astype("<i2").tobytes()
    told = talk(open_studio, f"/socket/record?{asked}", *[quiet] * 9, *[tone] * 9, *[quiet] * 9)
    assert any("kept: " in one.get("verdict", "") for one in told), told
    made = folder / "takes"
    written = sorted(path.relative_to(made).as_posix() for path in made.rglob("*.*"))
    assert written == ["evil_k/LICENCE.txt", "evil_k/s__0001.wav"]
    assert (made / "evil_k/LICENCE.txt").read_text().splitlines()[0] == "../../CC0 ../l"
    assert not (folder.parent / "evil").exists()
    shutil.rmtree(made)


def test_a_licence_is_not_read_through_a_link(open_studio, folder) -> None:
    (folder.parent / "secret.txt").write_text("a secret\n")
    made = folder / "takes/linked"
    made.mkdir(parents=True)
    (made / "LICENCE.txt").symlink_to(folder.parent / "secret.txt")
    (told,) = talk(open_studio, f"/socket/record?keyword=linked&{AGREED}&rate=16000")
    assert "is a link" in told["error"]
    assert "secret" not in told["error"]
    shutil.rmtree(folder / "takes")


def test_too_much_over_a_socket_is_dropped(open_studio, folder) -> None:
    path = f"/socket/record?keyword=much&{AGREED}&rate=16000"
    talk(open_studio, path, bytes((1 << 20) + 4096))
    assert not list((folder / "takes/much").glob("*.wav"))
    told = talk(open_studio, path, *["undo"] * 1000, *[bytes(3200)] * 25)
    taken_back = [one for one in told if one.get("verdict") == "nothing to take back"]
    assert len(taken_back) == 16
    assert open_studio.process.poll() is None
    shutil.rmtree(folder / "takes")


def test_nobody_reaches_it_from_another_machine(open_studio) -> None:
    socket.create_connection(("127.0.0.1", open_studio.port), 5).close()
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in ({"127.0.0.2", "::1"} | others) - {"127.0.0.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, open_studio.port), 5).close()


def test_each_run_has_its_own_token_and_path(open_studio, folder) -> None:
    with studio(folder) as other:
        assert len({open_studio.token, other.token, open_studio.below, other.below}) == 4
        assert min(map(len, (other.token, other.below))) > 20
        mixed = f"wakebeam-{other.port}={open_studio.token}"
        assert other.ask("GET", "/api/recordings", Cookie=mixed)[0] == 403
        for path in ("/", "/api/recordings", f"{open_studio.below}/"):
            elsewhere = dataclasses.replace(other, address=f"http://127.0.0.1:{other.port}/")
            own = other.own_headers["Cookie"]
            assert elsewhere.ask("GET", path, Cookie=own)[0] == 404, "below the path alone"


def test_another_server_on_this_machine_is_not_told_the_token(open_studio) -> None:
    """A browser sends cookies to every port of a host, but not to another path."""
    told: list[str] = []

    class Curious(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(str(self.headers) + self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!doctype html>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Curious) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with open_page(open_studio.address) as tab:
            (cookie,) = tab.context.cookies()
            assert cookie["value"] == open_studio.token
            assert cookie["httpOnly"]
            assert cookie["sameSite"] == "Strict"
            assert cookie["path"] == open_studio.below + "/"
            assert tab.request.get(tab.url).headers["cross-origin-opener-policy"] == "same-origin"
            other = f"http://127.0.0.1:{server.server_port}"
            tab.evaluate(f"fetch('{other}/asked').catch(() => 0)")
            tab.goto(f"{other}/gone")
            assert tab.evaluate(f"fetch('{open_studio.address}').then(() => 1, () => 0)") == 0
        server.shutdown()
    assert any("/gone" in one for one in told)
    secrets = (open_studio.token, open_studio.below.strip("/"), "Cookie")
    assert not any(secret in one for one in told for secret in secrets)


def test_hostile_names_are_text(open_studio) -> None:
    with open_page(open_studio.address) as tab:
        open_recording(tab, HOSTILE)
        assert tab.locator("main img[src=x]").count() == 0
        tab.fill("#label-text", HOSTILE)
        tab.locator("#label-view").focus()
        tab.keyboard.press("n")
        tab.keyboard.press("Enter")
        wait_until_saved(tab)
        assert tab.locator("main img[src=x]").count() == 0
        assert HOSTILE in tab.locator("#label-list").text_content()
        assert tab.problems == []


def test_ctrl_c_ends_it_well(folder) -> None:
    with studio(folder) as one:
        assert one.ask("GET", "/api/recording?name=monday.wav")[0] == 200
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(10) == 0
        assert "Traceback" not in one.process.stderr.read()
