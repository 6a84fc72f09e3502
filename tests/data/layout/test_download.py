"""Downloads from a server of this process: whole, cut, damaged, resumed; archives, sound and hostile."""

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from transfusion_cli.data.layout import download as downloads
from transfusion_cli.data.layout import open_archives
from transfusion_cli.data.layout.download import download, fetch_archive
from transfusion_cli.data.layout.open_archives import OPEN_ARCHIVES, OpenFile
from transfusion_cli.data.open_files import OpenFilesDataModule
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError

CONTENT = bytes(range(256)) * 4096
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``files``; each of ``cuts`` ends one answer after so many bytes."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cuts, self.ranges, self.asked = {"/file.bin": CONTENT}, [], True, []

    def url(self, name="file.bin"):
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        content = server.files.get(self.path.partition("?")[0])
        if content is None:
            return self.send_error(404)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = server.cuts.pop(0) if server.cuts else len(content)
        self.wfile.write(content[start : start + end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("checksum", [MD5, SHA256])
def test_whole(server, tmp_path, checksum):
    path = tmp_path / "new" / "file.bin"
    download(server.url(), path, checksum, len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    download(server.url(), path, checksum)
    assert server.asked == [None]


def test_what_the_user_has_stays(server, tmp_path):
    (tmp_path / "file.bin").write_text("mine")
    download(server.url(), tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin").read_text() == "mine" and not server.asked


def test_cut_connections_are_taken_up_again(server, tmp_path):
    server.cuts = [1000, 70_000]
    download(server.url(), tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=71000-"]


def test_an_interrupted_download_goes_on_in_the_next_call(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "CONNECTIONS", 1)
    server.cuts = [5000]
    with pytest.raises(UserError, match=r"cut after 5,000 of 1,048,576 bytes\nTry again: it goes on after 5,000 bytes"):
        download(server.url(), tmp_path / "file.bin", SHA256)
    assert not (tmp_path / "file.bin").exists()
    [part] = tmp_path.iterdir()
    assert part.read_bytes() == CONTENT[:5000]
    download(server.url(), tmp_path / "file.bin", SHA256)
    assert server.asked == [None, "bytes=5000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_ctrl_c_keeps_what_has_arrived(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.hashlib, "file_digest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        download(server.url(), tmp_path / "file.bin", MD5)
    monkeypatch.undo()
    download(server.url(), tmp_path / "file.bin", MD5)
    assert server.asked == [None, f"bytes={len(CONTENT)}-"]  # answered by 416: nothing is missing
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "CONNECTIONS", 1)
    server.ranges, server.cuts = False, [5000]
    for _ in range(2):
        try:
            download(server.url(), tmp_path / "file.bin", MD5)
        except UserError:
            continue
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_connections_that_bring_nothing_end_it(server, tmp_path):
    server.cuts = [1000] + [0] * 20
    with pytest.raises(UserError, match="cut after 1,000"):
        download(server.url(), tmp_path / "file.bin", MD5)
    assert len(server.asked) == 2


def test_a_damaged_file_does_not_stay(server, tmp_path):
    with pytest.raises(UserError, match=f"is damaged\nMD5 {MD5} instead of {'0' * 32}\nTry again"):
        download(server.url(), tmp_path / "file.bin", "0" * 32)
    assert not list(tmp_path.iterdir())


def test_a_part_of_another_file_is_found_out(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "CONNECTIONS", 1)
    server.cuts = [5000]
    with pytest.raises(UserError):
        download(server.url(), tmp_path / "file.bin", MD5)
    [part] = tmp_path.iterdir()
    part.write_bytes(b"x" * 5000)
    with pytest.raises(UserError, match="is damaged"):
        download(server.url(), tmp_path / "file.bin", MD5)
    download(server.url(), tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_nothing_there(server, tmp_path):
    with pytest.raises(UserError, match=r"Cannot download .*nowhere.bin\nto .*404.*\nFetch it with a browser"):
        download(server.url("nowhere.bin"), tmp_path / "nowhere.bin", MD5)
    assert not list(tmp_path.iterdir())


def test_no_space(server, tmp_path):
    with pytest.raises(UserError, match="GB are needed"):
        download(server.url(), tmp_path / "file.bin", MD5, 10**18)
    assert not server.asked


def test_several_at_once_fetch_once(server, tmp_path):
    threads = [threading.Thread(target=download, args=(server.url(), tmp_path / "file.bin", MD5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == [None]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


# Archives.


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members, kind="gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


TREE = {"cells/a/1.png": b"one", "cells/b/2.png": b"two", "__MACOSX/cells/a/._1.png": b"", "cells/Thumbs.db": b""}


def serve(server, content, name="set.zip"):
    server.files[f"/{name}"] = content
    return server.url(name), hashlib.sha256(content).hexdigest()


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_archive(server, tmp_path, pack):
    url, checksum = serve(server, pack(TREE))
    (tmp_path / "mine.txt").write_text("mine")
    fetch_archive(url, tmp_path, "cells", checksum)
    assert tree(tmp_path) == {"mine.txt": b"mine", "cells/a/1.png": b"one", "cells/b/2.png": b"two"}
    fetch_archive(url, tmp_path, "cells", checksum)
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["../out.txt", "cells/../../out.txt", "/tmp/out.txt", "..\\out.txt", "C:/out.txt"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_archive_that_leads_out_of_its_folder(server, tmp_path, pack, name):
    url, checksum = serve(server, pack({"cells/a/1.png": b"one", name: b"bad"}))
    with pytest.raises(UserError, match="leads out of the folder"):
        fetch_archive(url, tmp_path / "data", "cells", checksum)
    assert not list(tmp_path.rglob("*out.txt")) and not (tmp_path / "data/cells").exists()


def test_archive_with_a_link_that_leads_out_of_its_folder(server, tmp_path):
    url, checksum = serve(server, tarred({"cells/link": None}))
    with pytest.raises(UserError, match="Cannot unpack"):
        fetch_archive(url, tmp_path, "cells", checksum)
    assert not (tmp_path / "cells").exists()


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_archive_cut_short_by_its_publisher(server, tmp_path, pack):
    content = pack({f"cells/{i}.png": bytes(range(256)) for i in range(200)})
    url, checksum = serve(server, content[: len(content) // 2])
    with pytest.raises(UserError, match="Cannot unpack"):
        fetch_archive(url, tmp_path, "cells", checksum)
    assert not tree(tmp_path).keys() & {"cells/0.png"}


def test_interrupted_unpacking_leaves_no_half_tree_and_no_second_download(server, tmp_path, monkeypatch):
    url, checksum = serve(server, zipped(TREE))
    extract = zipfile.ZipFile.extract
    calls = []

    def interrupt(archive, member, folder):
        calls.append(member)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return extract(archive, member, folder)

    monkeypatch.setattr(zipfile.ZipFile, "extract", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_archive(url, tmp_path, "cells", checksum)
    assert not (tmp_path / "cells").exists()
    monkeypatch.undo()
    fetch_archive(url, tmp_path, "cells", checksum)
    assert set(tree(tmp_path)) == {"cells/a/1.png", "cells/b/2.png"}
    assert len(server.asked) == 1


def test_nothing_is_written_over(server, tmp_path):
    url, checksum = serve(server, zipped({"cells/1.png": b"one", "notes.txt": b"theirs"}))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes.txt is there already"):
        fetch_archive(url, tmp_path, "cells", checksum)
    assert (tmp_path / "notes.txt").read_text() == "mine" and not (tmp_path / "cells").exists()


# Data modules.


class CellsDataModule(OpenFilesDataModule):
    """Cells.

    Source: https://example.org
    Layout: cells/{a,b}/*.png
    """

    landmarks = ("cells/a",)
    archive = "cells"
    target, class_names, in_chans = "binary", ["a", "b"], 1

    def load_samples(self):
        _ = self.folder
        return SampleTable(as_text(["x"]), [[0.0]], ["train"])


@pytest.fixture
def cells(server, monkeypatch):
    url, checksum = serve(server, zipped(TREE), "cells.zip")
    server.files["/map.csv"] = b"a,b"
    md5 = hashlib.md5(b"a,b").hexdigest()
    files = (
        OpenFile(server.url("map.csv?x=1"), "map.csv", md5, 3, "", ""),
        OpenFile(url, "cells", checksum, None, "", ""),
    )
    monkeypatch.setitem(open_archives.OPEN_ARCHIVES, "cells", files)


def test_module_fetches_what_is_absent(cells, server, tmp_path):
    data = CellsDataModule(root=str(tmp_path / "data"), download=True)
    data.prepare_data()
    assert set(tree(tmp_path / "data")) == {"map.csv", "cells/a/1.png", "cells/b/2.png"}
    assert data.folder == tmp_path / "data"
    (tmp_path / "data/map.csv").unlink()
    data.prepare_data()
    assert [path for path in server.asked if path] == [] and len(server.asked) == 3


def test_module_leaves_another_layout_of_the_user_alone(cells, server, tmp_path):
    (tmp_path / "deep/cells/a").mkdir(parents=True)
    CellsDataModule(root=str(tmp_path), download=True).prepare_data()
    assert not server.asked


def test_module_offers_the_download(cells, tmp_path):
    with pytest.raises(UserError, match=r"(?s)example.org, or add --data.download true\nThen --data.root"):
        _ = CellsDataModule(root=str(tmp_path)).folder
    with pytest.raises(UserError, match=r"data\.root is not set"):
        CellsDataModule(download=True).prepare_data()


def test_every_open_file_is_told_in_full():
    for files in OPEN_ARCHIVES.values():
        for file in files:
            assert file.url.startswith("https://") and file.gives in file.url and file.licence and file.checksum_from
            assert len(bytes.fromhex(file.checksum)) in (16, 32)
