"""Computing the features of all images once, whatever number of processes does so and however often it is cut."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from transfusion_cli.data.cache.place import describe
from transfusion_cli.data.cache.sources import Sources
from transfusion_cli.data.feature_set import FeatureSet, encoded
from transfusion_cli.data.feature_store import FeatureStore, Rows, feature_key
from transfusion_cli.data.loader import Batch
from transfusion_cli.data.reading.images import DECODER_VERSION
from transfusion_cli.data.samples import Split

log = logging.getLogger(__name__)

PARTS = 16
"""What a pass is divided into: a part that is whole is not computed again, and each process takes some of them."""


class FeaturePass:
    """Fills the feature sets of a data module from a store, and the store from images.

    The processes of one machine share the work, and all of them read the result: machines need no folder in common.

    Args:
        data: the data module, after ``use_features``.
        store: where features are kept.
        facts: what decides the features beside the pixels: the network and how it computes.
        compute: makes the features (B, ...) of a batch of images.
    """

    def __init__(
        self, data: Any, store: FeatureStore, facts: tuple[Any, ...], compute: Callable[[Batch], Tensor]
    ) -> None:
        self.data, self.store, self.facts, self.compute = data, store, facts, compute
        trainer = data.trainer
        self.rank, self.world = trainer.local_rank, trainer.world_size // trainer.num_nodes

    def run(self) -> None:
        """Fill all sets; every process takes part."""
        for split, features in self.data.features.items():
            features.columns = self.columns(split, features)

    def columns(self, split: Split, features: FeatureSet) -> Rows:
        """What belongs to one set, a row for each of its ``keys``."""
        key = feature_key(*self.facts, *pixel_facts(self.data, split, features))
        known = self.store.get(key) is not None
        log.info("Features of the %s split: %s %s", split, "found in" if known else "to", self.store.path(key))
        batch = max(1, self.data.batch_size // self.data.trainer.world_size)
        parts = np.array_split(np.arange(len(features.keys)), min(PARTS, -(-len(features.keys) // batch)))
        names = [f"{key}-{number}" for number in range(len(parts))]
        if not known:
            mine = [place for place in range(len(parts)) if place % self.world == self.rank]
            self._compute(features, [(names[place], parts[place]) for place in mine], batch)
        # Whoever found it whole waits like everybody else: processes that see a folder at different times may disagree.
        self.data.trainer.strategy.barrier("parts of features")
        if self.rank == 0:
            # A part that is missing now was taken away by another run that had made a whole of them.
            whole = (found for name in names if (found := self.store.get(name)) is not None)
            self.store.put(key, whole, len(features.keys))
            for name in names:
                self.store.remove(name)
        self.data.trainer.strategy.barrier("features")
        columns = self.store.get(key)
        assert columns is not None
        return columns

    def _compute(self, features: FeatureSet, parts: list[tuple[str, np.ndarray]], size: int) -> None:
        """Compute what is not there of some parts: names and places among the keys."""
        todo = [(name, places) for name, places in parts if self.store.get(name) is None]
        keys = features.keys
        batches = [
            [[keys[place] for place in places[start : start + size]] for start in range(0, len(places), size)]
            for _, places in todo
        ]
        loaded = iter(self.data.image_loader(features.images, [one for many in batches for one in many]))
        total = sum(len(places) for _, places in todo)
        with tqdm(
            total=total, desc="features", unit=" images", disable=True if self.rank else None, leave=False
        ) as bar:
            for (name, places), many in zip(todo, batches, strict=True):
                ours = islice(loaded, len(many))
                made = (encoded(self.compute(batch)) for batch in _counted(ours, bar))
                self.store.put(name, made, len(places))
                deque(ours, maxlen=0)  # what another run has computed in the meantime


def _counted(batches: Iterable[Batch], bar: Any) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        bar.update(len(batch["index"]))


def pixel_facts(data: Any, split: Split, features: FeatureSet) -> tuple[Any, ...]:
    """All that decides the pixels of a set: what is read, from which files as they are now, and what becomes of it.

    Files count by name, size and time of change, arrays by a few of their images, as for a cache of decoded images.
    """
    images, contents = features.images, data.contents
    sources = Sources(contents, data.size)
    places = np.concatenate([np.searchsorted(contents.rows, images.rows), np.arange(len(contents.rows), len(sources))])
    made = (type(data).__name__, DECODER_VERSION, data.size, data.resize, data.in_chans, describe(images.read))
    changed = (repr(data.augmentation), data.seed, features.views) if images.augment is not None else ()
    shuffled = (data.shuffle_blocks, data.seed) if images.shuffle is not None else ()
    ids = contents.samples.ids[images.rows]
    return made, describe(sources.readers[split]), changed, shuffled, ids, sources.sizes_and_times(places)
