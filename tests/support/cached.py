"""Data modules with a cache of decoded images, and what they read."""

import torch

from transfusion_cli.data.cache import build as cache_build
from transfusion_cli.data.cache import decoder as cache_decoder
from transfusion_cli.data.cache.build import build_cache
from transfusion_cli.datasets import ImageTableDataModule


def module(table, folder=None, **kwargs):
    """A data module of grey images of 16 x 16 pixels; ``folder`` is its cache."""
    options = {"num_workers": 0, "batch_size": 4, "image_size": 16, "channels": 1}
    folder = None if folder is None else str(folder)
    return ImageTableDataModule(table=str(table), cache=folder, **(options | kwargs))


def prepared(data, folder, size=(16, 16), **kwargs):
    """Fill a cache, without a bar."""
    return build_cache(data.contents, folder, size, progress=False, **kwargs)


def batches(data, split="train"):
    """All batches of a split."""
    data.setup({"train": "fit", "val": "validate", "test": "test"}[split])
    return list(data.train_dataloader() if split == "train" else data.fixed_dataloader(split))


def same(one, two):
    """Assert that batches are the same to the bit."""
    assert len(one) == len(two) > 0
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert a[name].dtype == b[name].dtype
            torch.testing.assert_close(a[name], b[name], rtol=0, atol=0, equal_nan=True)


def count_reads(data, folder, size=(16, 16)):
    """Images decoded by one attempt, the probes for the space they need left out."""
    before = cache_build.PROBES
    cache_build.PROBES = 0
    count = [0]
    whole = cache_decoder.Decoder.read

    def read(decoder, position):
        count[0] += 1
        return whole(decoder, position)

    cache_decoder.Decoder.read = read
    try:
        prepared(data, folder, size)
    finally:
        cache_decoder.Decoder.read, cache_build.PROBES = whole, before
    return count[0]
