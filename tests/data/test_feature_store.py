"""Features are kept by what decided them, whole or not at all."""

import numpy as np
import pytest
import torch

from transfusion_cli.data.feature_store import FeatureStore, feature_key
from transfusion_cli.errors import Fault


def chunks(rows=7, size=3, wide=5):
    """Some columns in parts, as a pass over images gives them."""
    for start in range(0, rows, size):
        index = np.arange(start, min(start + size, rows))
        yield {"features": np.float32(index)[:, None] + np.arange(wide, dtype=np.float32), "index": index}


def test_what_was_put_is_there_for_others_too(tmp_path):
    made = FeatureStore(tmp_path / "store").put("a", chunks(), 7)
    found = FeatureStore(tmp_path / "store").get("a")
    assert set(found) == set(made) == {"features", "index"}
    assert found["index"].tolist() == list(range(7))
    assert np.array_equal(found["features"], np.arange(7)[:, None] + np.arange(5)) and found["features"].shape == (7, 5)
    assert found["features"].dtype == np.float32 and isinstance(found["features"], np.memmap)


def test_columns_of_odd_widths_are_arrays_that_torch_takes(tmp_path):
    parts = [{"bit": np.ones(2, np.uint8), "wide": np.ones((2, 3), np.float32), "index": np.arange(2)}]
    found = FeatureStore(tmp_path).put("a", parts, 2)
    assert torch.equal(torch.from_numpy(found["index"].copy()), torch.arange(2))
    assert all(column.strides[0] % column.itemsize == 0 for column in found.values())


def test_nothing_is_made_twice(tmp_path):
    store = FeatureStore(tmp_path)
    store.put("a", chunks(), 7)

    def never():
        raise AssertionError("made again")
        yield

    assert len(store.put("a", never(), 7)["index"]) == 7
    assert store.get("b") is None


@pytest.mark.parametrize("rows", [6, 8])
def test_a_pass_that_stops_short_leaves_nothing(tmp_path, rows):
    with pytest.raises(ValueError, match="7 rows"):
        FeatureStore(tmp_path).put("a", chunks(), rows)
    assert not list(tmp_path.glob("*.npy")) and FeatureStore(tmp_path).get("a") is None


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"PK" + content, lambda content: b""])
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    store = FeatureStore(tmp_path)
    store.put("a", chunks(), 7)
    store.path("a").write_bytes(damage(store.path("a").read_bytes()))
    assert store.get("a") is None
    assert len(store.put("a", chunks(), 7)["features"]) == 7


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match="file"):
        FeatureStore(tmp_path / "file" / "store").put("a", chunks(), 7)


def test_only_a_chunk_is_taken_at_a_time(tmp_path):
    alive, most = [], []

    class Part(dict):
        def __init__(self, values):
            super().__init__(values)
            alive.append(1)
            most.append(len(alive))

        def __del__(self):
            alive.pop()

    FeatureStore(tmp_path).put("a", (Part(part) for part in chunks(60)), 60)
    assert max(most) <= 3  # the first, the one at hand and the one that replaces it


def test_keys_tell_facts_apart():
    ids = np.array(["a", "b"])
    keys = [
        feature_key("x", 1, ids),
        feature_key("x", 2, ids),
        feature_key("x", 1, ids[::-1]),
        feature_key("x1", ids),
        feature_key("x", 1, np.array(["ab", ""])),
        feature_key("x", 1, np.arange(4)),
        feature_key("x", 1, np.arange(4).reshape(2, 2)),
        feature_key("x", 1, np.arange(4).astype(np.int32)),
    ]
    assert len(set(keys)) == len(keys) and keys[0] == feature_key("x", 1, np.array(["a", "b"]))
