"""Segmentation of images and volumes."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.masks.case_scores import Empty
from transfusion_cli.metrics.masks.measure import COLUMNS, measure
from transfusion_cli.metrics.masks.pixel_ranking import BINS, score_histogram
from transfusion_cli.metrics.records import Records, RecordTable
from transfusion_cli.metrics.segmentation import SegmentationEvaluation
from transfusion_cli.targets import IGNORE, MaskTarget, label_names
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.case_prediction import CasePrediction
from transfusion_cli.tasks.mask_losses import MaskLoss, Term
from transfusion_cli.tasks.network import SegmentationRecipe
from transfusion_cli.tasks.sliding_window import SlidingWindow, resampled
from transfusion_cli.tasks.unsaved import unsaved_arguments

Case = dict[str, Tensor]


class SegmentationTask(TransferTask):
    """Fine-tune a backbone, under a decoder, to mark classes in images or volumes.

    It trains on patches. Whole cases are evaluated by a sliding window, in their own grid and spacing.

    Args:
        target: ``mask``, classes that exclude each other, or ``regions``, which may overlap; follows the data.
        class_names: names of the K classes without background, or of the regions; follows the data.
        regions: labels in each region; follows the data.
        decoder: ``unet`` or ``fpn``; whole segmentation networks (genesis_unet3d) have their own.
        decoder_channels: channels of each step of a U-Net, coarse first, or the one number of an FPN; null takes the
            usual, which double from 16 with each halving up to 256, or 64.
        deep_supervision: train on the coarser maps of ``unet`` or ``fpn`` too, each with half the weight of the next
            finer one.
        losses: what the loss is a sum of: ``dice``, ``cross_entropy``, ``focal``, ``tversky``; null takes the first
            two.
        class_weights: of cross-entropy and focal loss: K + 1 numbers, background first; of regions K.
        focal_gamma: focusing exponent of the focal loss, 0 or more.
        tversky_beta: weight in the Tversky loss of what is missed; false alarms weigh the rest.
        batch_dice: Dice and Tversky loss over all patches of a batch together, not of each by itself.
        window: sides of the window that slides over whole cases, or one number for all; null takes those of the patches
            that it was trained on.
        overlap: share of a window that the next one sees again, 0 or more and under 1.
        windows_at_once: windows that the network gets together; fewer take less memory.
        mirror: average predictions over all mirror images, 4 of images and 8 of volumes, in so many times the time.
        tolerances: millimetres within which surfaces count as the same, one for each class; null measures no
            normalised surface Dice: there is no value that suits all structures.
        lesions: count connected parts that were found, missed and made up (``lesion_recall`` and the like).
        ranking: AUROC and average precision of pixels, as papers on vessels report them; null does so for images of
            one class.
        empty: what Dice is where a structure is not there: ``undefined`` (left out; false alarms are counted apart),
            ``one`` or ``zero``, as some challenges have it.
        probabilities: let ``predict`` write probabilities beside its masks, as NPZ files.
        kwargs: as for ``TransferTask``.
    """

    recipe = SegmentationRecipe
    loss: MaskLoss
    headline = ("loss", "dice")
    monitor = "val/dice"
    learns = "masks"

    def __init__(
        self,
        target: MaskTarget = "mask",
        class_names: list[str] | None = None,
        regions: list[list[int]] | None = None,
        decoder: str = "unet",
        decoder_channels: list[int] | None = None,
        deep_supervision: bool = False,
        losses: list[Term] | None = None,
        class_weights: list[float] | None = None,
        focal_gamma: float = 2.0,
        tversky_beta: float = 0.7,
        batch_dice: bool = False,
        window: int | list[int] | None = None,
        overlap: float = 0.5,
        windows_at_once: int = 4,
        mirror: bool = False,
        tolerances: list[float] | None = None,
        lesions: bool = False,
        ranking: bool | None = None,
        empty: Empty = "undefined",
        probabilities: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.save_hyperparameters(ignore=unsaved_arguments())
        if not class_names:
            raise UserError("SegmentationTask needs class_names.\nOn the command line they follow from --data.")
        if not 0 <= overlap < 1:
            raise UserError(f"overlap is a share, 0 or more and under 1, not {overlap}.\nTry --model.overlap 0.5")
        if windows_at_once < 1:
            raise UserError(f"windows_at_once must be at least 1, not {windows_at_once}.")
        if tolerances is not None and len(tolerances) != len(class_names):
            raise UserError(
                f"tolerances has {len(tolerances)} numbers, and there are {len(class_names)} classes:\n"
                f"{', '.join(class_names)}"
            )
        self.target: MaskTarget = target
        self.class_names, self.regions = list(class_names), regions
        self.decoder, self.decoder_channels, self.deep_supervision = decoder, decoder_channels, deep_supervision
        terms: list[Term] = ["dice", "cross_entropy"] if losses is None else losses
        shape = focal_gamma, tversky_beta, batch_dice
        self.loss = MaskLoss(target, len(class_names), regions, terms, class_weights, *shape)
        self.window, self.overlap, self.windows_at_once, self.mirror = window, overlap, windows_at_once, mirror
        self.tolerances, self.lesions, self.empty, self.probabilities = tolerances, lesions, empty, probabilities
        self.ranking = (self.dims == 2 and len(class_names) == 1) if ranking is None else ranking
        if self.ranking and len(class_names) > 1:
            raise UserError("ranking is for masks of one class.\nTry --model.ranking false")
        self.patch: tuple[int, ...] | None = None
        """Sides of the patches that it was trained on."""
        columns = {"measures": torch.empty(0, len(class_names), len(COLUMNS), dtype=torch.float64)}
        columns["loss"] = torch.empty(0, dtype=torch.float64)
        if self.ranking:
            columns["histograms"] = torch.empty(0, 2, BINS, dtype=torch.int32)
        self.records = Records(**columns)

    @property
    def num_outputs(self) -> int:
        """Channels of the logits."""
        return len(self.class_names) + (self.target == "mask")

    @property
    def metric_names(self) -> frozenset[str]:  # type: ignore[override]
        """All that it logs in training and validation."""
        measures = torch.zeros(1, len(self.class_names), len(COLUMNS), dtype=torch.float64)
        histograms = torch.zeros(1, 2, BINS, dtype=torch.int32) if self.ranking else None
        measured = SegmentationEvaluation(
            index=torch.zeros(1, dtype=torch.int64),
            class_names=self.class_names,
            measures=measures,
            lesions=self.lesions,
            histograms=histograms,
        ).metrics
        return frozenset(("train/loss_step", "train/loss_epoch", "val/loss", *(f"val/{name}" for name in measured)))

    @property
    def label_names(self) -> list[str]:
        """Names of the labels of a mask, from 1 on: its classes, or the smallest region of each."""
        return label_names(self.class_names, self.regions)

    def setup(self, stage: str) -> None:
        """Note how large patches are."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if stage == "fit" or self.patch is None:
            self.patch = tuple(data.size)

    # --- input ----------------------------------------------------------------------------------------------

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Whole cases stay where they are; windows of them are moved."""
        return batch if "cases" in batch else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Normalise patches; windows of whole cases are normalised when they are cut."""
        return batch if "cases" in batch else super().on_after_batch_transfer(batch, dataloader_idx)

    # --- evaluation -----------------------------------------------------------------------------------------

    @property
    def sliding_window(self) -> SlidingWindow:
        """How whole cases are seen."""
        asked = (self.window,) * self.dims if isinstance(self.window, int) else self.window
        size = tuple(asked or self.patch or ())
        if len(size) != self.dims:
            raise UserError(f"window has {len(size)} sides, and these data {self.dims} axes\nTry one number.")
        return SlidingWindow(size, self.overlap, self.windows_at_once, self.mirror)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:  # type: ignore[override]
        """Predict cases, measure them, and show callbacks what was predicted."""
        predictions = [self.predict_case(case) for case in batch["cases"]]
        records = [self._measured(*pair) for pair in zip(batch["cases"], predictions, strict=True)]
        self.records.update(batch["index"], **{name: torch.stack([r[name] for r in records]) for name in records[0]})
        return {"predictions": predictions}

    test_step = predict_step = validation_step  # type: ignore[assignment]

    @torch.no_grad()
    def predict_case(self, case: Case) -> CasePrediction:
        """What the network says of a whole case, in the case's own grid.

        Args:
            case: ``image`` (C, *S), ``truth`` uint8 (*S0), ``box`` (dims, 2).
        """
        image, truth = case["image"], case["truth"]
        box = [slice(*ends) for ends in case["box"].tolist()]
        inside = [part.stop - part.start for part in box]
        slabs = self.sliding_window.slabs(image, lambda windows: self(self.normalise(windows)), self.device)
        found = CasePrediction.blank(len(self.class_names), truth.shape, self.ranking, self.probabilities)
        sums: dict[str, Tensor] = {}
        for place, logits in _placed(resampled(slabs, image.shape[1], inside), box):
            found.write(place, logits, self.target)
            part = self.loss.sums(logits[None], truth[place][None].to(logits.device))
            sums = {name: sums.get(name, 0) + value for name, value in part.items()}
        found.loss = self.loss.value(sums)[0].item() if sums["valid"] else float("nan")
        return found

    def _measured(self, case: Case, prediction: CasePrediction) -> dict[str, Tensor]:
        truth = case["truth"]
        valid = truth != IGNORE
        true = CasePrediction.classes_of(truth, self.regions, len(self.class_names))
        last = self.trainer.state.fn == "test"  # surfaces take longer than all the rest
        found = {
            "measures": measure(
                prediction.classes,
                true,
                valid,
                case["spacing"],
                surfaces=last,
                tolerances=self.tolerances if last else None,
                lesions=self.lesions,
            ),
            "loss": torch.tensor(prediction.loss, dtype=torch.float64),
        }
        if prediction.scores is not None:
            found["histograms"] = score_histogram(prediction.scores, true[0], valid)
        return {name: value.to(self.device) for name, value in found.items()}

    def evaluate(self, table: RecordTable) -> SegmentationEvaluation:
        """The evaluation of a split, its loss included."""
        known = table["loss"][~table["loss"].isnan()]
        last = self.trainer.state.fn == "test"
        return SegmentationEvaluation(
            index=table.index,
            loss=known.mean().item() if len(known) else None,
            class_names=self.class_names,
            measures=table["measures"],
            surfaces=last,
            tolerances=self.tolerances if last else None,
            lesions=self.lesions,
            histograms=table["histograms"] if self.ranking else None,
            empty=self.empty,
        )

    # --- checkpoints ----------------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """Add what the outputs mean, and how large patches were."""
        own = {"target": self.target, "class_names": self.class_names, "regions": self.regions}
        return super().describe() | own | {"patch": None if self.patch is None else list(self.patch)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up how large patches were, too."""
        super().on_load_checkpoint(checkpoint)
        patch = checkpoint["transfusion"].get("patch")
        self.patch = None if patch is None else tuple(patch)


def _placed(slabs: Iterator[Tensor], box: Sequence[slice]) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """Slabs with their place in the case's own grid."""
    first = box[0].start
    for slab in slabs:
        yield (slice(first, first + slab.shape[1]), *box[1:]), slab
        first += slab.shape[1]
