"""What a candidate makes of the images, computed once and kept."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from transfusion_cli.data.feature_set import encoded
from transfusion_cli.data.feature_store import FeatureStore, Rows, feature_key
from transfusion_cli.errors import UserError
from transfusion_cli.models.state_hash import state_hash
from transfusion_cli.transferability.images import Images
from transfusion_cli.transferability.source import Source

CHUNK = 1024
"""Images whose probabilities are computed together."""


def features_of(
    source: Source, images: Images, store: FeatureStore, device: str, keep: bool, seen: Callable[[int], object]
) -> tuple[str, Rows, float]:
    """What the head would get of every image, from the store or by one pass over the images.

    Of all images of a split that is what ``HeadOnly`` with a cache trains on, and each finds what the other has left.

    Args:
        source: the candidate.
        images: of the target.
        store: keeps it, by all that decides it; what is there whole stays, whatever interrupts the next.
        device: where to compute.
        keep: whether other candidates will look at the same images.
        seen: told how many images were passed.

    Returns:
        The key; ``features`` (N, D, ...) and, where the source has a head, ``source`` (N, Z), float32 and on the disk;
        and the seconds that it took now, 0 where it was there.

    Raises:
        UserError: the candidate cannot take the images, or makes something else than numbers of them.
    """
    key = feature_key(*source.facts(torch.device(device)), *images.facts(source.size))
    start, found = time.perf_counter(), store.get(key)
    rows = store.put(key, _passed(source, images, device, keep, seen), len(images)) if found is None else found
    seconds = time.perf_counter() - start if found is None else 0.0
    if source.classes:
        own = feature_key(key, state_hash(source.classifier.state_dict()))
        answers = store.put(own, _chances(source, rows["features"]), len(images))
        return own, {**rows, **answers}, seconds
    return key, rows, seconds


def _passed(source: Source, images: Images, device: str, keep: bool, seen: Callable[[int], object]) -> Iterator[Rows]:
    source.task.to(device)
    for _, batch in images.batches(source.size, keep=keep):
        made = source(batch.to(device)).float()
        if not made.isfinite().all():
            raise UserError("it makes NaN or infinity of some images")
        yield encoded(made)
        seen(len(batch))


def _chances(source: Source, features: np.ndarray) -> Iterator[Rows]:
    source.task.cpu()
    for start in range(0, len(features), CHUNK):
        yield {"source": source.chances(torch.from_numpy(features[start : start + CHUNK].copy())).numpy()}
