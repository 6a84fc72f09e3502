"""What was predicted for the cases of a split, where each has a mask."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from transfusion_cli.metrics.estimate import Estimate, Sides
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.intervals import Interval, logarithmic, wilson
from transfusion_cli.metrics.masks.case_scores import RULES, Empty, case_scores, column, lesion_scores
from transfusion_cli.metrics.masks.measure import COLUMNS
from transfusion_cli.metrics.masks.pixel_ranking import pixel_ranking

ORDER = (
    *("dice", "iou", "hd95", "nsd", "sensitivity", "specificity", "precision", "accuracy", "background_accuracy"),
    *("volume_error", "auroc_per_image", "average_precision_per_image", "auroc", "average_precision", "dice_global"),
)
"""Metrics in the order of tables; those of lesions come behind."""

AREAS = ("auroc_per_image", "average_precision_per_image")
UNLIMITED = ("hd95", "volume_error")
"""Metrics that have no upper end."""

POOLED = ("auroc", "average_precision")
COUNTS = tuple(name for name in COLUMNS if name not in ("voxel_volume", "diagonal", "hd95", "nsd"))
"""Columns of measures that are whole numbers."""

FEWEST_MEANS = 3
"""Patients below which a mean over patients has no interval; docs/statistics.md says what such intervals hold."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentationEvaluation(Evaluation):
    """What was measured of N cases with K classes, and these metrics; what the data leave undefined is NaN, never 0.

    Each score is one of a case and class; the cases of a patient are averaged, then patients (``dice/<class>``), then
    classes (``dice``). ``metrics.masks.case_scores`` says what each score is, and what holds of structures that are
    missed or not there. With one class there is ``dice`` alone, and accuracy too.

    * ``dice``, ``iou``, ``sensitivity``, ``specificity``, ``precision``, ``volume_error``.
    * ``hd95`` in mm and ``nsd``, the share of the surface within the tolerance of its class, where measured.
    * ``dice_global``: of the voxels of all cases together, false alarms in cases without the structure included.
    * ``auroc_per_image``, ``average_precision_per_image``: of the pixels of each image, averaged like Dice; ``auroc``,
      ``average_precision``: of the pixels of all images together. Where there are histograms of scores.
    * ``lesion_recall``, ``lesion_precision``, ``lesion_f1``: lesions with any overlap, averaged like Dice; with
      ``_iou50`` those of which intersection is over half of the union; with ``_global`` the lesions of all cases.

    Args:
        class_names: K foreground classes or regions.
        measures: float64 (N, K, M), from :func:`transfusion_cli.metrics.masks.measure.measure`.
        surfaces: whether HD95 was measured.
        tolerances: mm that NSD allows, of each class; None where it was not measured.
        lesions: whether lesions were counted.
        histograms: int32 (N, 2, BINS), the scores of the pixels of each image, where pixels are ranked (K = 1).
        areas: float64 (N, 2), AUROC and average precision of each image, where they are known without histograms.
        empty: what holds where the reference is empty.
    """

    class_names: Sequence[str]
    measures: Tensor
    surfaces: bool = False
    tolerances: Sequence[float] | None = None
    lesions: bool = False
    histograms: Tensor | None = None
    areas: Tensor | None = None
    empty: Empty = "undefined"

    @classmethod
    def of_table(cls, columns: Mapping[str, np.ndarray], metrics: Collection[str]) -> Self | None:
        """The evaluation that the rows of ``predictions_test.csv`` tell of, but for what is pooled over pixels.

        Args:
            columns: by name, those of ``columns`` and ``truth`` and ``patient``, as text or numbers, all rows of a case
                together and in the order of its classes.
            metrics: names of the metrics that the test had.

        Raises:
            KeyError: a column is missing.
            ValueError: a column is not of numbers, or the rows are not of the same classes case by case.
        """
        if not {"class", "tp"} <= set(columns):
            return None
        classes = list(dict.fromkeys(columns["class"].tolist()))
        width, rows = len(classes), len(columns["class"])
        if not width or rows % width or columns["class"].tolist() != classes * (rows // width):
            raise ValueError("not each case has the same classes")

        def numbers(name: str) -> Tensor:
            given = np.array([math.nan if value in ("", None) else float(value) for value in columns[name]])
            return torch.tensor(given, dtype=torch.float64).view(-1, width)

        nothing = torch.full((rows // width, width), math.nan, dtype=torch.float64)
        kinds = {metric.partition("/")[0] for metric in metrics}
        measured = [numbers(name) if name in columns else nothing for name in COLUMNS]
        areas = torch.cat([numbers(name) for name in AREAS], dim=1) if kinds.issuperset(AREAS) else None
        patients = columns["patient"][::width] if "patient" in columns and (columns["patient"] != "").all() else None
        found = cls(
            index=torch.arange(rows // width),
            patients=patients,
            class_names=classes,
            measures=torch.stack(measured, dim=2),
            surfaces="hd95" in kinds,
            tolerances=[math.nan] * width if "nsd" in kinds else None,
            lesions="lesion_f1" in kinds,
            areas=areas,
        )
        # How empty references were counted shows in their Dice.
        written = numbers("dice").nan_to_num(nan=-1)
        rules: tuple[Empty, ...] = ("undefined", "zero", "one")
        alike = (rule for rule in rules if found._written(rule).isclose(written, atol=1e-4).all())
        return replace(found, empty=next(alike, "undefined"))

    def _written(self, empty: Empty) -> Tensor:
        return case_scores(self.measures, empty)["dice"].nan_to_num(nan=-1)

    @cached_property
    def scores(self) -> dict[str, Tensor]:
        """What is averaged over cases, by metric: float64 (N, K)."""
        found = case_scores(self.measures, self.empty)
        left_out = {"hd95"} if not self.surfaces else set()
        left_out |= {"nsd"} if self.tolerances is None else set()
        left_out |= {"accuracy", "background_accuracy"} if len(self.class_names) > 1 else set()
        found = {name: values for name, values in found.items() if name not in left_out}
        if self.image_areas is not None:
            found |= dict(zip(AREAS, self.image_areas.T[..., None], strict=True))
        return found | (lesion_scores(self.measures) if self.lesions else {})

    @cached_property
    def image_areas(self) -> Tensor | None:
        """AUROC and average precision of each image, float64 (N, 2)."""
        if self.histograms is None:
            return self.areas
        each = [torch.stack(pixel_ranking(histogram.double())) for histogram in self.histograms]
        return torch.stack(each) if each else torch.empty(0, 2, dtype=torch.float64)

    def statistic(self, weights: Tensor) -> dict[str, Tensor]:
        """Means of each class over patients, and metrics of all voxels, pixels or lesions together."""
        found: dict[str, Tensor] = {}
        for name, values in self.scores.items():
            found |= self._by_class(name, self._means_of_patients(values, weights))
        sums = torch.einsum("n,nkm->km", weights, self.measures.nan_to_num())
        hits = 2 * column(sums, "tp")
        voxels = hits + column(sums, "fp") + column(sums, "fn")
        found |= self._by_class("dice_global", torch.where(voxels > 0, hits / voxels.clamp(min=1e-300), torch.nan))
        if self.lesions:
            for name, values in lesion_scores(sums).items():
                found |= self._by_class(f"{name}_global", values)
        if self.histograms is not None:
            pooled = torch.einsum("n,ncb->cb", weights, self.histograms.double())
            found |= zip(POOLED, pixel_ranking(pooled), strict=True)
        return found

    def means(self, values: Mapping[str, float]) -> dict[str, list[str]]:
        """Means over the classes where a metric is defined."""
        found: dict[str, list[str]] = {}
        for name, value in values.items():
            kind, _, of_class = name.partition("/")
            if of_class:
                found.setdefault(kind, []).extend([name] if math.isfinite(value) else [])
        return found

    def shown(self, names: Sequence[str]) -> list[str]:
        """Dice first; the metrics of all classes, then those of each where there are several."""
        kinds = [name for name in names if "/" not in name]
        kinds.sort(key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
        each = [f"{kind}/{name}" for kind in kinds for name in self.class_names] if len(self.class_names) > 1 else []
        return kinds + [name for name in each if name in names]

    def sides(self, metric: str) -> Sides:
        """The cases where a class has the score; all cases with known voxels for what is pooled."""
        kind, _, name = metric.partition("/")
        if kind in self.scores:
            return {"patients": self.scores[kind][:, self._place(name)].isfinite()}
        return {"patients": self._known.any(dim=1)}

    def needed(self, metric: str) -> int:
        """Fewer for means over patients than for shares of all voxels."""
        return FEWEST_MEANS if metric.partition("/")[0] in self.scores else super().needed(metric)

    def interval(self, metric: str, estimate: Estimate, confidence: float) -> Interval:
        """Wilson's of what lies between 0 and 1; Student's t on the logarithm of distances and volume errors."""
        if metric.partition("/")[0] in UNLIMITED:
            return logarithmic(estimate, confidence)
        return wilson(estimate, confidence, least=1e-24)  # the specificity of volumes hardly varies

    def support(self, metric: str) -> dict[str, int]:
        """Cases with known voxels, and those with the structure if the metric is of one class."""
        name = metric.partition("/")[2]
        if not name and len(self.class_names) > 1:
            return {"samples": int(self._known.any(dim=1).sum())}
        at = self._place(name)
        return {"samples": int(self._known[:, at].sum()), "positives": int(self._there[:, at].sum())}

    @property
    def counts(self) -> dict[str, float]:
        """Of each class: cases with it, how many of these missed; cases without, false alarms, their median volume."""
        fp, guessed = column(self.measures, "fp"), column(self.measures, "tp") + column(self.measures, "fp") > 0
        absent = self._known & ~self._there
        masks = {
            "positives": self._there,
            "missed": self._there & ~guessed,
            "absent": absent,
            "false_alarms": absent & guessed,
        }
        found: dict[str, float] = {}
        for kind, mask in masks.items():
            found |= self._by_class(kind, mask.sum(dim=0).tolist())
        for name, alarm, volume in zip(self.class_names, masks["false_alarms"].T, (fp * self._volume).T, strict=True):
            if alarm.any():
                found[f"false_volume/{name}"] = float(np.median(volume[alarm]))
        return found

    @property
    def notes(self) -> dict[str, str]:
        """The rule for empty masks, and what distances are."""
        found = {
            "empty_masks": f"of cases without the structure {RULES[self.empty]}; a structure that is missed has Dice,"
            " IoU, precision and NSD 0 and as HD95 the diagonal of the case, and is never left out",
            "means": "over the cases of a patient where defined, then patients, then classes; *_global is of the voxels"
            " or lesions of all cases together",
        }
        if self.surfaces:
            found["surfaces"] = (
                "hd95 in mm, or in pixels of images that tell no spacing, by elements of surface weighted by area,"
                " the larger of both ways"
            )
        if self.tolerances is not None:
            each = ", ".join(f"{name} {mm:g}" for name, mm in zip(self.class_names, self.tolerances, strict=True))
            found["tolerances"] = f"nsd within mm: {each}"
        if self.histograms is not None:
            found["ranking"] = "auroc and average_precision are of pixels, by scores of 11 significant bits"
        return found

    @property
    def case_of_row(self) -> Tensor:
        """A row for each case and class."""
        return torch.arange(len(self)).repeat_interleave(len(self.class_names))

    def columns(self) -> dict[str, np.ndarray]:
        """The class, and the predicted volume in mm^3 (2-D: mm^2), ignored voxels included."""
        names = np.array([*self.class_names] * len(self), dtype=object)
        return {"class": names, "volume": self._rows(column(self.measures, "predicted") * self._volume)}

    def truth(self) -> dict[str, np.ndarray]:
        """The true volume, every score, empty where undefined, and what was measured."""
        true = column(self.measures, "tp") + column(self.measures, "fn")
        found = {"true_volume": self._rows(true * self._volume)}
        found |= {name: self._rows(values) for name, values in self.scores.items()}
        found |= {name: self._rows(column(self.measures, name)) for name in ("voxel_volume", "diagonal")}
        counts = [name for name in COUNTS if self.lesions or not name.startswith("lesions_")]
        return found | {name: self._rows(column(self.measures, name)).astype(np.int64) for name in counts}

    def reference(self) -> dict[str, np.ndarray]:
        """Class and true volume."""
        return {"class": self.columns()["class"], "true_volume": self.truth()["true_volume"].round(3)}

    def take(self, rows: Any) -> Self:
        """Some cases alone."""

        def some(values: Any) -> Any:
            return None if values is None else values[rows]

        return replace(
            self,
            index=self.index[rows],
            patients=some(self.patients),
            loss=None,
            measures=self.measures[rows],
            histograms=some(self.histograms),
            areas=some(self.areas),
        )

    def _means_of_patients(self, values: Tensor, weights: Tensor) -> Tensor:
        """Weighted means (K,) of (N, K): of the cases of each patient that have a value, then of the patients."""
        defined = values.isfinite()
        patients = torch.zeros(len(self), values.shape[1], dtype=torch.float64)
        cases = patients.index_add(0, self.clusters, defined.double())[self.clusters]
        shares = torch.where(defined, weights[:, None] / cases.clamp(min=1), 0)
        return (shares * values.nan_to_num()).sum(dim=0) / shares.sum(dim=0)

    def _by_class(self, kind: str, values: Any) -> dict[str, Any]:
        return {f"{kind}/{name}": value for name, value in zip(self.class_names, values, strict=True)}

    def _place(self, name: str) -> int:
        return list(self.class_names).index(name) if name else 0

    def _rows(self, values: Tensor) -> np.ndarray:
        return values.numpy().reshape(-1)

    @cached_property
    def _there(self) -> Tensor:
        return column(self.measures, "tp") + column(self.measures, "fn") > 0

    @cached_property
    def _known(self) -> Tensor:
        return self._there | (column(self.measures, "fp") + column(self.measures, "tn") > 0)

    @property
    def _volume(self) -> Tensor:
        return column(self.measures, "voxel_volume")
