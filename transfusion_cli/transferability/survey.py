"""One look at every candidate: what it makes of the images, and what is known of it without any."""

import gc
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from tqdm import tqdm

from transfusion_cli.data.feature_store import FeatureStore, Rows, feature_key
from transfusion_cli.errors import Fault, UserError
from transfusion_cli.transferability.ac_corr import Correlation, Training, ac_corr
from transfusion_cli.transferability.book import Book
from transfusion_cli.transferability.candidates import Candidate
from transfusion_cli.transferability.features import features_of
from transfusion_cli.transferability.images import Images
from transfusion_cli.transferability.source import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """A candidate that was looked at.

    Args:
        candidate: which.
        rows: its features, and the probabilities of the source's classes, where they lie on the disk.
        book: what was worked out of them before.
        parameters: of its network without the classifier.
        width: numbers that its head gets.
        size: sides of the images that it was shown.
        classes: of the source's own classifier; 0 for none.
        drawn: whether all its weights were drawn at random.
        seconds: that its features took.
        correlation: AC-Corr, where it was asked for and is defined.
        correlation_seconds: that this took.
        why: why it is not, as a clause.
    """

    candidate: Candidate
    rows: Rows
    book: Book
    parameters: int
    width: int
    size: tuple[int, ...]
    classes: int
    drawn: bool
    seconds: float
    correlation: Correlation | None = None
    correlation_seconds: float = 0.0
    why: str = ""


@dataclass
class Survey:
    """What all candidates showed.

    Args:
        seen: those that could be looked at, in the order in which they were named.
        failed: names of the others, with the reason.
    """

    seen: list[Seen] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def survey(
    candidates: Sequence[Candidate],
    model: Mapping[str, Any],
    images: Images,
    store: FeatureStore,
    device: str,
    training: Training | None = None,
) -> Survey:
    """Look at candidates one after the other, each alone in memory; what is done is kept, whatever comes after.

    Args:
        candidates: which.
        model: see ``Source.load``.
        images: of the target.
        store: keeps features.
        device: where to compute.
        training: before AC-Corr; None to leave that out.
    """
    found = Survey()
    with tqdm(total=len(images) * len(candidates), unit="image", leave=False, disable=None) as bar:
        for place, candidate in enumerate(candidates, start=1):
            bar.set_description(f"{place} of {len(candidates)}: {candidate.name}")
            passed = Passed(bar)
            try:
                more = place < len(candidates)
                one = look(candidate, model, images, store, device, training, more, passed)
            except Fault:
                raise
            except Exception as error:  # whatever an architecture runs into; the others go on
                found.failed[candidate.name] = reason(error)
                log.warning("%d of %d  %s: %s", place, len(candidates), candidate.name, reason(error))
            else:
                found.seen.append(one)
                how = f"{one.seconds:.1f} s" if passed.number else "as kept from before"
                log.info("%d of %d  %s: %d features, %s", place, len(candidates), candidate.name, one.width, how)
            # What was there already, or failed, took no time that would tell how long the rest takes.
            bar.total = (bar.total or 0) - len(images) + passed.number
            bar.refresh()
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    return found


@dataclass
class Passed:
    """Counts images on a bar, which itself counts nothing where it is not shown."""

    bar: Any
    number: int = 0

    def __call__(self, images: int) -> None:
        """So many more."""
        self.number += images
        self.bar.update(images)


def look(
    candidate: Candidate,
    model: Mapping[str, Any],
    images: Images,
    store: FeatureStore,
    device: str,
    training: Training | None,
    more: bool,
    seen: Any,
) -> Seen:
    """Look at one candidate; for the arguments see ``survey`` and ``features_of``.

    Raises:
        UserError: it cannot be loaded, or cannot take the images.
    """
    source = Source.load(candidate, model)
    key, rows, seconds = features_of(source, images, store, device, more or training is not None, seen)
    book = Book(store.folder / f"{key}.json")
    if seconds:
        book.put("features", {"seconds": seconds})
    seconds = float((book.get("features") or {}).get("seconds", 0.0))
    images.data.network_size = source.size
    facts = (
        source.parameters,
        math.prod(rows["features"].shape[1:]),
        images.data.size,
        source.classes,
        not source.carried,
        seconds,
    )
    if training is None:
        return Seen(candidate, rows, book, *facts)
    entry = f"ac_corr {feature_key(training.facts(images), images.targets.numpy(), sorted(source.carried))}"
    try:
        kept = book.get(entry)
        if kept is None:
            kept = _correlation(source, images, model, training, device)
            book.put(entry, kept)
    except Fault:
        raise
    except Exception as error:  # it may do for all other scores
        return Seen(candidate, rows, book, *facts, why=reason(error))
    return Seen(candidate, rows, book, *facts, Correlation(**kept["correlation"]), kept["seconds"])


def _correlation(
    source: Source, images: Images, model: Mapping[str, Any], training: Training, device: str
) -> dict[str, Any]:
    start = time.perf_counter()
    found = ac_corr(source, images, model["target"], len(model["class_names"]), training, device)
    return {"correlation": asdict(found), "seconds": time.perf_counter() - start}


def reason(error: Exception) -> str:
    """Why something failed, as a clause."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    known = isinstance(error, UserError)
    return (line if known else f"{type(error).__name__}: {line}")[:240].rstrip(".")
