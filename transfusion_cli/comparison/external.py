"""A test on other data beside that on a run's own."""

import json
import math
from collections.abc import Iterator
from typing import Any

from transfusion_cli.comparison.tested import read_tested
from transfusion_cli.errors import UserError
from transfusion_cli.files import write_text
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.results import Results, build_results
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.text import table
from transfusion_cli.versions import free_path, newest

PREVALENCE = 2.0
"""How many times as frequent a label may be in one of the data as in the other."""

LEAST = 0.02
"""Share of images by which prevalences differ at least, where that is told."""

CONTRAST = 1.5
"""How many times as large the spread within an image may be."""


def beside_own(run: RunFolder, written: RunFolder) -> str:
    """A table of a test on other data beside the run's own test, and what to beware of; kept as a file beside results.

    Metrics of the run's own test are those of the labels that the other data know. They come from its predictions,
    which rank by probabilities.

    Args:
        run: the folder of the run.
        written: the folder that the other test was written to.
    """
    theirs: dict[str, Any] = json.loads(newest(written.results).read_text(encoding="utf-8"))
    about = theirs["external"]
    own, why = _own(run, list(about["meant"].values()))
    lines = [*_labels(about), ""]
    head = ("test", about["data"], "95 % interval", "own test", "95 % interval")
    rows = [(name, *_cells(theirs.get(key)), *_cells(own.get(key))) for name, key in _names(theirs)]
    lines += [*table([head, *rows]), ""]
    lines += [f"No results of the run's own test stand beside these: {why}"] if why else []
    lines += [f"Beware: {text}" for text in (*_prevalences(theirs, own), *_pixels(about["data"], theirs, own))]
    text = "\n".join(lines).rstrip()
    write_text(free_path(written.path / "beside_own.txt"), f"{text}\n")
    return text


def _own(run: RunFolder, labels: list[str]) -> tuple[Results, str]:
    """Results of the run's own test by some labels, or why there are none."""
    try:
        record = RunRecord.read(run)
        tested = read_tested(record)
    except UserError as error:
        return {}, str(error).splitlines()[0]
    if isinstance(tested, str):
        return {}, f"it {tested}"
    evaluation = tested.evaluation
    if isinstance(evaluation, ClassificationEvaluation) and set(labels) < set(evaluation.class_names):
        chosen = [name for name in evaluation.class_names if name in labels]
        if evaluation.target == "multilabel":
            results = build_results(evaluation.of_labels(chosen))
            return {**results, "provenance": record.results.get("provenance") or {}}, ""
    return record.results, ""


def _labels(about: dict[str, Any]) -> Iterator[str]:
    other = ", ".join(f"{theirs} for {ours}" for theirs, ours in about["meant"].items() if theirs != ours)
    yield f"Labels of {about['data']}: {other or 'called as in the run'}."
    if about["left_out"]:
        yield f"Left out, as {about['data']} does not know them: {', '.join(about['left_out'])}."
    if about["unused"]:
        yield f"Not used, as the run does not know them: {', '.join(about['unused'])}."


def _names(results: Results) -> Iterator[tuple[str, str]]:
    """Metrics as tables call them, each with its key."""
    metrics = [
        key.removeprefix("test/") for key, entry in results.items() if key.startswith("test/") and "low" in entry
    ]
    for metric in (name for name in metrics if "/" not in name):
        yield metric, f"test/{metric}"
        for name in metrics:
            if name.startswith(f"{metric}/"):
                yield f"  {name.partition('/')[2]}", f"test/{name}"


def _cells(entry: dict[str, Any] | None) -> tuple[str, str]:
    if not entry:
        return "", ""
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    interval = entry.get("why", "") if low is None else f"{low:.3f} to {high:.3f}"
    return "undefined" if value is None else f"{value:.3f}", interval


def _prevalences(theirs: Results, own: Results) -> Iterator[str]:
    """Labels that are much more, or much less, frequent than in the run's own test."""
    found = []
    for key in theirs:
        kind, _, name = key.removeprefix("test/").partition("/")
        if kind != "auroc" or key not in own:
            continue
        here, there = _share(theirs[key]), _share(own[key])
        if abs(here - there) >= LEAST and max(here, there) >= PREVALENCE * min(here, there):
            found.append(f"{name or 'positive'} {here:.1%} here, {there:.1%} there")
    if found:
        yield (
            f"prevalences are not those of the run's own test ({'; '.join(found)}): predictive values, "
            "average precision and thresholds do not carry over."
        )


def _share(entry: dict[str, Any]) -> float:
    if "positives" not in entry or not entry.get("samples"):
        return math.nan
    return float(entry["positives"] / entry["samples"])


def _pixels(name: str, theirs: Results, own: Results) -> Iterator[str]:
    """Images that are brighter or darker, or of another contrast."""
    here, there = ((results.get("provenance") or {}).get("pixels") for results in (theirs, own))
    if here is None or there is None:
        if own:
            yield "whether the images look alike is not known: the run's own test tells nothing of its pixels."
        return
    if abs(here["mean"] - there["mean"]) > max(there["between_images"], 1e-3):
        yield (
            f"images of {name} have a mean of {here['mean']:.3f} (0 black, 1 white), "
            f"the run's own {there['mean']:.3f}, varying by {there['between_images']:.3f}: "
            "they may be windowed, inverted or cut in another way."
        )
    spreads = sorted((here["within_image"], there["within_image"]))
    if spreads[1] > CONTRAST * spreads[0]:
        yield (
            f"the standard deviation within images of {name} is {here['within_image']:.3f}, "
            f"in the run's own {there['within_image']:.3f}: their contrast is another."
        )
