"""A model card in the Hugging Face hub's layout, filled from a run."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transfusion_cli.export.trained_run import TrainedRun
from transfusion_cli.metrics.results import COUNTS
from transfusion_cli.run_folder import RunFolder

HEAD = """\
---
library_name: timm
pipeline_tag: image-classification
tags:
- timm
- image-classification
- medical
# license: to be chosen by the author; that of the base weights and of the data may bind it
---
"""

LIMITS = """\
This is a model of research. It was measured on the data above and on no others: on other machines, on other patients
or where classes have other shares, its numbers will be different. It is no medical device.

To be added by the author: what it is meant for and what not, who took part, how the labels were made, how it does in
subgroups, contact, licence.
"""

USAGE = """\
```python
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

model = timm.create_model("local-dir:PATH", pretrained=True).eval()  # or "hf-hub:OWNER/NAME"
prepare = create_transform(**resolve_model_data_config(model))
with torch.no_grad():
    logits = model(prepare(Image.open("image.png").convert("{mode}"))[None])
print(dict(zip(model.pretrained_cfg["label_names"], {chances}[0].tolist())))
```
"""

CHANCES = {
    "multiclass": "logits.softmax(dim=1)",
    "ordinal": "logits.sigmoid().cumprod(dim=1)",
}
"""What makes probabilities of logits; the sigmoid of each, unless it is said here."""


def model_card(run: TrainedRun) -> str:
    """The text of ``README.md``, in Markdown.

    Args:
        run: what it is of.
    """
    task, made = run.task, run.preprocessing
    chances = CHANCES.get(task.target, "logits.sigmoid()")
    mode = "L" if len(made.mean) == 1 else "RGB"
    parts = [
        HEAD + f"# {run.folder.name}",
        f"A `{run.architecture}` for {', '.join(task.class_names)} ({task.target}), fine-tuned by `transfusion`.",
        "## Use\n\n" + USAGE.replace("{mode}", mode).replace("{chances}", chances).rstrip(),
        "## Preprocessing\n\n" + "\n".join(_preprocessing(made.rule)),
        "## Data\n\n" + "\n".join(_data(run)),
        "## Training\n\n" + "\n".join(_training(run)),
        "## Test\n\n" + "\n".join(_results(run.record.results)),
        "## Limits\n\n" + LIMITS.rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def _preprocessing(rule: dict[str, Any]) -> Iterator[str]:
    yield f"The run read images as {rule['order']}, {rule['resize_how']} ({rule['height']} x {rule['width']};"
    yield f"{rule['resize_method']}), then: {rule['then']}."
    yield f"Mean {_numbers(rule['mean'])}, standard deviation {_numbers(rule['std'])}."
    yield "timm's own transform resizes by another method: where images have to be resized, logits differ slightly."
    if rule["resize"] == "pad":
        yield "It also enlarges images that are smaller: pad these with zeros first, the image in the middle."


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _data(run: TrainedRun) -> Iterator[str]:
    name = str(run.record.settings.get("data", "not known")).rpartition(".")[2].removesuffix("DataModule")
    flag = run.record.settings.get("data.flag")
    yield f"{name}{f' ({flag})' if flag else ''}. Splits are by patient where patients are known.\n"
    yield "| split | images | patients |\n|---|---|---|"
    for split, (images, patients) in split_sizes(run.folder).items():
        yield f"| {split} | {images:,} | {f'{patients:,}' if patients else 'not known'} |"
    if run.task.split:
        yield f"\nThe split is known by its SHA-256, `{run.task.split}`."


def split_sizes(run: RunFolder) -> dict[str, tuple[int, int]]:
    """Images and patients of each split of a run; 0 patients where none are known."""
    if not run.split.is_file():
        return {}
    with run.split.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("split")]
    sizes = {}
    for split in ("train", "val", "test"):
        inside = [row for row in rows if row["split"] == split]
        sizes[split] = len(inside), len({row["patient"] for row in inside if row.get("patient")})
    return sizes


def _training(run: TrainedRun) -> Iterator[str]:
    task, settings = run.task, run.record.settings
    base = task.transferred.base
    source = base.source if base.source.startswith("timm:hf-hub:") else Path(base.source).name  # no one's folders
    drawn = " (nothing pretrained)" if not base.tensors else f", SHA-256 of the tensors `{base.sha256}`"
    names = ", ".join(f"`{type(strategy).__name__}`" for strategy in task.transfer.strategies)
    options = {key.removeprefix("model.transfer."): value for key, value in settings.items()}
    given = {key: value for key, value in options.items() if "model.transfer." + key in settings and value is not None}
    yield f"- Backbone: `{run.architecture}`"
    yield f"- Base weights: {source}{drawn}"
    yield f"- Strategy: {names}{f' `{json.dumps(given, default=str)}`' if given else ''}"
    yield f"- Epochs: {run.record.epochs}; the best by `{run.record.monitor}` is kept. Seed: {run.record.seed}\n"
    yield f"```\n{run.audit}\n```"


def _results(results: dict[str, Any]) -> Iterator[str]:
    found = {key.removeprefix("test/"): entry for key, entry in results.items() if key.startswith("test/")}
    metrics = {key: entry for key, entry in found.items() if "/" not in key and key not in COUNTS}
    if not metrics:
        yield "The run was not tested: `transfusion test RUN`, then export again."
        return
    of = found.get("patients", {}).get("value")
    unit = f"{of:,} patients" if of else "images, as no patients are known"
    yield f"Of the test split, with 95 % intervals over {unit}:\n"
    yield "| metric | value | 95 % interval |\n|---|---|---|"
    for name, entry in metrics.items():
        value, low, high = (entry.get(key) for key in ("value", "low", "high"))
        interval = entry.get("why", "") if low is None else f"{low:.3f} to {high:.3f}"
        yield f"| {name} | {'undefined' if value is None else f'{value:.3f}'} | {interval} |"
