import io
import tarfile
import zipfile

import pytest

from transfusion_cli.data.layout import unpack as module
from transfusion_cli.errors import UserError


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_that_unpacks_to_far_more_than_it_is(tmp_path, monkeypatch, pack):
    archive = pack(tmp_path / "archive", {"set/small.png": b"image", "set/large.png": bytes(2 * 10**6)})
    assert archive.stat().st_size < 5000
    assert len(module.unpack(archive, tmp_path / "whole")) == 1  # two megabytes do no harm
    monkeypatch.setattr(module, "_ANYWAY", 10**6)
    with pytest.raises(UserError, match=r"Cannot unpack .*archive\n.*over 100 times its size") as caught:
        module.unpack(archive, tmp_path / "out")
    assert len(str(caught.value).splitlines()) <= 3
    assert not list((tmp_path / "out").iterdir())
