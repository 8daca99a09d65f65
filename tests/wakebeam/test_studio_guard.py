"""What the studio refuses: other pages, other names, other folders, what is no label, too much."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from urllib.parse import quote

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
    wait_until_saved,
)


@pytest.fixture(scope="module")
def open_studio(folder) -> Iterator[Studio]:
    with studio(folder) as one:
        yield one


def test_only_the_page_with_the_token_gets_in(open_studio, folder) -> None:
    before = files_of(folder.parent)
    ask, name = open_studio.ask, "?name=monday.wav"
    labels = json.dumps({"revision": "", "labels": []})
    assert ask("GET", "/api/recordings")[0] == 200
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
    ):
        for path in ("/", "/api/recordings", f"/api/recording{name}", "/files/studio.js"):
            assert ask("GET", path, **wrong)[0] == 403, wrong
        assert ask("PUT", f"/api/labels{name}", labels, **wrong)[0] == 403, wrong
    assert ask("PUT", f"/api/labels{name}", labels, Origin="")[0] == 403
    assert ask("POST", f"/api/proposals{name}", "", Origin="")[0] == 403
    assert ask("GET", "/?token=wrong", Cookie="")[0] == 403
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    upgrade["Sec_WebSocket_Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    for path in (
        "/socket/record?rate=16000&keyword=k&speaker=s&licence=l",
        "/socket/listen?rate=1",
    ):
        assert ask("GET", path, Origin="http://evil.example", **upgrade)[0] == 403
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
        for path in ("recording", "stretch", "sound", "take"):
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
