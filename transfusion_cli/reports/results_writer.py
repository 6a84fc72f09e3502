"""What evaluation leaves: results with intervals, and predictions sample by sample."""

import logging
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from transfusion_cli.errors import UserError
from transfusion_cli.files import write_json, write_text
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.metrics.monitor import MONITOR
from transfusion_cli.metrics.results import Results, build_results, format_table
from transfusion_cli.reports.decided import Decided, decided_report, decided_results, decisions_for
from transfusion_cli.reports.decision_figures import write_figures
from transfusion_cli.reports.parts import parts
from transfusion_cli.reports.pixel_statistics import PixelStatistics
from transfusion_cli.reports.provenance import is_mirrored, provenance
from transfusion_cli.reports.size_alone import size_alone
from transfusion_cli.reports.subgroup_decisions import tell_subgroup_decisions
from transfusion_cli.reports.subgroups import tell_subgroups
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.spreadsheet import spreadsheet_frame
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.versions import free_path

log = logging.getLogger(__name__)

HEADLINE = ("test/dice", "test/auroc", "test/average_precision", "test/balanced_accuracy", "test/kappa", MONITOR)
"""Metrics that TensorBoard shows beside the hyper-parameters."""


OF_OTHERS = {
    True: "",
    False: " (not all of the samples that the run held back, or others)",
    None: " (whether any of it was trained on cannot be known: the run's split.csv is not beside the checkpoint)",
}
"""What to say of a test split, by whether it is the run's own."""


class ResultsWriter(pl.Callback):
    """Write ``results.json`` and ``predictions_test.csv`` after a test, and ``predictions.csv`` after predict.

    Intervals are over patients, or over images where no patients are known; docs/statistics.md says how they are found.
    Earlier files are kept: a second test of the same run writes ``results_1.json``.

    Args:
        folder: where to write.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.written: list[Path] = []
        self.table = ""
        self.decided: Decided | None = None

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find what was fitted on validation: on all processes, and before the test, which it may have to refuse."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.decided = decisions_for(trainer.evaluated, data, "test", is_mirrored(pl_module))  # type: ignore[attr-defined]

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The same for predictions."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        split, mirror = data.predict_split, is_mirrored(pl_module)
        self.decided = decisions_for(trainer.evaluated, data, split, mirror)  # type: ignore[attr-defined]

    @rank_zero_only
    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Metrics with intervals, the validation metrics of the same weights, and every prediction."""
        if not isinstance(pl_module, TransferTask) or pl_module.evaluation is None:
            return
        task, evaluation = pl_module, pl_module.evaluation
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(evaluation, ClassificationEvaluation) and (tested := getattr(data, "tested", None)) is not None:
            evaluation = evaluation.of_labels(tested)
            self.decided = self.decided and self.decided._replace(made=self.decided.made.of_labels(tested))
        results: Results = {}
        tables = []
        for part in parts(evaluation, data.samples):
            validation = task.validation_metrics if part.stage == "test" else None
            results |= build_results(part.evaluation, part.stage, validation)
            if part.stage == "test":
                results |= size_alone(part.evaluation, data)
                groups, made = data.groups_of(evaluation.index.numpy()), self.decided and self.decided.made
                told = tell_subgroups(part.evaluation, groups), tell_subgroup_decisions(part.evaluation, groups, made)
                results |= told[0].results | told[1].results
            tables.append(format_table(results, part.stage))
        tables += [one.text for one in told if one.text]
        tables += self._decisions(evaluation, data, results)
        checkpoint = trainer.evaluated  # type: ignore[attr-defined]
        origin = provenance(task, data, checkpoint, "test")
        results["provenance"] = origin
        told_pixels = [one.found for one in trainer.callbacks if isinstance(one, PixelStatistics) and one.found]  # type: ignore[attr-defined]
        origin |= {"pixels": told_pixels[0]} if told_pixels else {}
        results |= {"external": data.external} if hasattr(data, "external") else {}
        if self.decided is not None:
            origin["decisions"] = self.decided.path.name
            origin |= {"threshold_rule": self.decided.made.rule} if self.decided.made.thresholds else {}
        self._keep(self.folder.results, lambda path: write_json(path, results))
        frame = spreadsheet_frame(predictions_frame(evaluation, data, self.decided))
        self._keep(self.folder.test_predictions, lambda path: write_text(path, frame.to_csv(index=False)))
        unit = f"{data.unit} (no patients known)" if data.samples.patients is None else "patients"
        of = f" of {data.name}" if hasattr(data, "external") else OF_OTHERS[origin["own_split"]]
        of += ", means over mirror images" if origin["mirror"] else ""
        self.table = "\n\n".join([f"Test split{of}, 95 % intervals over {unit}\n{tables[0]}", *tables[1:]])
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                # Under names of their own: TensorBoard would take them for a restart of the curves at step 0.
                values = {name: results[name]["value"] for name in HEADLINE if name in results}
                final = {f"final/{name}": value for name, value in values.items() if value is not None}
                logger.log_hyperparams(_flat(dict(task.hparams)), final)

    @rank_zero_only
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Every prediction."""
        if isinstance(pl_module, TransferTask) and pl_module.evaluation is not None:
            data: Any = trainer.datamodule  # type: ignore[attr-defined]
            tell_unread(data, pl_module.evaluation.index.numpy())
            frame = spreadsheet_frame(predictions_frame(pl_module.evaluation, data, self.decided))
            self._keep(self.folder.predictions, lambda path: write_text(path, frame.to_csv(index=False)))

    def _decisions(self, evaluation: Evaluation, data: Any, results: Results) -> list[str]:
        """Add to the results what calibration and thresholds are worth, and draw it; gives the tables."""
        if self.decided is None or not isinstance(evaluation, ClassificationEvaluation):
            return []
        for stage, part in parts(evaluation, data.samples):
            if stage == "test[exams]" or not isinstance(part, ClassificationEvaluation):
                continue  # thresholds are for one image
            results.update(decided_results(self.decided.made, part, stage))
            if stage == "test":
                self.written += write_figures(self.decided.made, part, self.folder.path, stage)
        return [decided_report(self.decided, results)]

    def _keep(self, path: Path, write: Any) -> None:
        self.folder.path.mkdir(parents=True, exist_ok=True)
        path = free_path(path)
        write(path)
        self.written.append(path)


def predictions_frame(evaluation: Evaluation, data: Any, decided: Decided | None = None) -> Any:
    """Id, patient, domain and exam where known, what was predicted, and the truth: a row or several for each sample.

    With decisions there is beside each probability the calibrated one, and what is decided.

    There are no columns for the truth in the split ``predict`` of images without labels. Images that could not be read,
    those with a negative index, are left out.

    Args:
        evaluation: of a split.
        data: the datamodule it is of.
        decided: what was fitted on validation, if anything.
    """
    import pandas as pd

    seen = evaluation.take(evaluation.index >= 0)
    rows, samples = seen.index[seen.case_of_row].numpy(), data.samples
    labelled = (samples.split[rows] != "predict").any()
    said = seen.columns()
    if decided is not None and isinstance(seen, ClassificationEvaluation):
        said |= decided.made.columns(decided.made.apply(seen))
    said |= seen.truth() if labelled else {}
    extra = {"patient": samples.patients, "domain": samples.domains, "exam": samples.exams}
    columns: dict[str, Any] = {getattr(data, "id_column", "id"): samples.ids[rows].astype(object)}
    columns |= {"patient": ""} if labelled else {}
    columns |= {name: values[rows].astype(object) for name, values in extra.items() if values is not None}
    return pd.DataFrame(columns | said)


def tell_unread(data: Any, index: np.ndarray) -> None:
    """Say how many images could not be read, and what is wrong with the first.

    Args:
        data: the datamodule that was evaluated.
        index: int64 (N,), of each image: its row, or -1 - row where it could not be read.

    Raises:
        UserError: none could be read.
    """
    rows = -1 - index[index < 0]
    if not len(rows):
        return
    many, reason = f"{len(rows):,} of {len(index):,} images could not be read", ""
    try:
        data.make_reader("predict", data.size)(int(rows.min()))
    except UserError as error:
        reason = ": ".join(str(error).splitlines()[:2])
    if len(rows) == len(index):
        raise UserError(f"{many}: nothing is written.\nFor example {reason}")
    log.warning("%s and are left out, for example\n%s", many, reason)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested hyper-parameters as dotted keys with plain values, as TensorBoard takes them; without Lightning's own."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key.startswith("_") or value is None:
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat
