"""Files of torch.save whose bytes changed are refused, or give what was saved."""

import pytest
import torch
from support.flips import flipped_bits

from transfusion_cli.models.torch_file import DamagedFile, read_torch_file

SAVED = {"weights": torch.arange(40.0), "counts": torch.ones(3, 3, dtype=torch.int64), "epoch": 3, "name": "né"}


@pytest.fixture
def path(tmp_path):
    torch.save(SAVED, tmp_path / "file.pth")
    return tmp_path / "file.pth"


def is_same(found):
    tensors = all(torch.equal(found[name], SAVED[name]) for name in ("weights", "counts"))
    return list(found) == list(SAVED) and tensors and (found["epoch"], found["name"]) == (3, "né")


def test_every_flipped_bit_is_seen_or_does_nothing(path):
    """All bits of a file, a thousand drawn each time: tensors, pickle, headers, directory and the gaps between."""
    refused = 0
    for where in flipped_bits(path, 1000):
        try:
            assert is_same(read_torch_file(path)), where
        except (DamagedFile, RuntimeError):
            refused += 1
    assert 400 < refused < 1000


def test_a_flipped_bit_of_a_tensor_is_not_seen_by_torch_alone(path):
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(40.0).numpy().tobytes()) + 7] ^= 1
    path.write_bytes(content)
    assert not is_same(torch.load(path, weights_only=True))  # else all this is for nothing
    with pytest.raises(DamagedFile, match="Bad CRC-32"):
        read_torch_file(path)


@pytest.mark.parametrize("mark, offset", [(0x10, 38), (1, 10)])
def test_entries_that_torch_takes_otherwise_are_refused(path, mark, offset):
    """Of one that is marked as a folder it reads nothing, and gives what memory happens to hold."""
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + offset] ^= mark
    path.write_bytes(content)
    with pytest.raises(DamagedFile):
        read_torch_file(path)


def test_files_without_checksums_are_read(path):
    torch.save(SAVED, path, _use_new_zipfile_serialization=False)
    assert is_same(read_torch_file(path))
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(SAVED, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert is_same(read_torch_file(path))
