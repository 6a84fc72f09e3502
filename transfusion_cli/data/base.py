"""What all data modules share."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np

from transfusion_cli.data.cache.build import build_cache, bytes_of
from transfusion_cli.data.cache.contents import Contents
from transfusion_cli.data.cache.opening import open_cache
from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.loading import LoadingDataModule
from transfusion_cli.data.ranges import Ranges
from transfusion_cli.data.reading.readers import FileReader
from transfusion_cli.data.run_split import Authority, RunSplit
from transfusion_cli.data.samples import SPLITS, SampleTable, Split
from transfusion_cli.data.splits import folds, hold_out, hold_out_images, split_hash
from transfusion_cli.data.subgroups import Subgroup, subgroups
from transfusion_cli.data.subset import leave_out, take_subset
from transfusion_cli.data.training_classes import check_classes
from transfusion_cli.data.transform import augmentation as augmentations
from transfusion_cli.data.transform import volumes
from transfusion_cli.data.transform.resize import ResizeMode
from transfusion_cli.data.units import units
from transfusion_cli.data.volumes import augmentation as of_volumes
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

log = logging.getLogger(__name__)

FALLBACK_SIZE = (224, 224)


class MedicalDataModule(LoadingDataModule):
    """Images with patients, splits and targets, in batches of ``image``, ``target`` and ``index``.

    A subclass says what the data are: ``target``, ``class_names`` and ``in_chans`` right after construction,
    ``load_samples`` for the table with its splits, and ``make_reader`` for the pixels. Subsets, the split of a run and
    the checks of every run are done here, order, augmentation and sharding in ``LoadingDataModule``.

    Batches (B samples, C channels, H x W pixels): ``image`` uint8 (B, C, H, W), of volumes (B, C, D, H, W), or float32
    in [0, 1] for sources deeper than 8 bits; ``target`` float32 (B, L) or int64 (B,), see ``transfusion_cli.targets``;
    ``index`` int64 (B,), the row in ``samples``. Mean and standard deviation are the model's matter, not applied here.

    Args:
        root: folder of the data.
        batch_size: samples per optimizer step, over all processes together.
        num_workers: processes that load images, for each training process; 0 loads in the main one.
        image_size: height and width of the images given to the network (depth, height and width of volumes), or one
            number for all; null takes what the backbone expects, and of volumes what the data have.
        resize: how images get there: ``stretch`` ignores the aspect ratio, ``crop`` keeps it and cuts the middle out,
            ``pad`` keeps it, never enlarges, and adds a black margin.
        augmentation: random changes of training images: ``default`` for what suits the data, null for none, or a list
            of transforms such as ``[{HorizontalFlip: {p: 0.5}}]``, of albumentations for images, of MONAI for volumes.
        shuffle_blocks: side in pixels of square blocks that every image of every split is cut into, to be laid out in
            one random order, fixed by ``seed``; 1 shuffles the pixels. It must divide height and width.
        train_fraction: share of the training samples to use. By the same seed, a smaller share lies within a larger
            one; samples of a patient are taken together.
        train_size: number of training samples to use, in place of ``train_fraction``.
        balanced: draw training samples with replacement so that classes (for several labels: the presence and the
            absence of each) have equal weight.
        val_fraction: share of the training patients held out for validation where the data have no such split.
        split_seed: seed of the choice of held-out patients.
        seed: seed of the order, the augmentation and the training subset.
        exclude: text file with the id of one sample per line, as in ``split.csv``, to leave out: unreadable images,
            duplicates.
        verify: decode every image before training and report how many cannot be read.
        cache: folder of decoded images made by ``transfusion data prepare``; null reads the files.
        predict_split: what ``predict`` runs on.
        subgroups: what the test tells of apart, by columns of the table: ``[sex, age<40, age:40-65, view]``.
    """

    default_augmentation: str = "upright"
    """Key of ``augmentation.DEFAULTS``, or ``volumes.DEFAULTS``, that suits the images."""

    known_leak: str = ""
    """What lets patients cross splits on purpose, to repeat a published protocol; empty where nothing does."""

    preprocessing: Any = None
    """What is made of volumes before anything else, as plain data and back; a run keeps it."""

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 32,
        num_workers: int = 2,
        image_size: int | tuple[int, ...] | None = None,
        resize: ResizeMode = "stretch",
        augmentation: list[str | dict[str, Any]] | Literal["default"] | None = "default",
        shuffle_blocks: int | None = None,
        train_fraction: float = 1.0,
        train_size: int | None = None,
        balanced: bool = False,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        seed: int = 42,
        exclude: str | None = None,
        verify: bool = False,
        cache: str | None = None,
        predict_split: Split = "test",
        subgroups: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.root = None if root is None else Path(root).expanduser()
        self.batch_size, self.num_workers = batch_size, num_workers
        self.image_size, self.resize, self.shuffle_blocks = image_size, resize, shuffle_blocks
        self.train_fraction, self.train_size, self.balanced = train_fraction, train_size, balanced
        self.val_fraction, self.split_seed, self.seed = val_fraction, split_seed, seed
        self.exclude = None if exclude is None else Path(exclude).expanduser()
        self.verify, self.predict_split, self.subgroups = verify, predict_split, subgroups
        self.cache = None if cache is None else Path(cache).expanduser()
        ranges = Ranges()
        ranges.least("batch_size", batch_size, 1)
        ranges.workers("num_workers", num_workers)
        ranges.sides("image_size", image_size, self.dims)
        ranges.least("seed", seed, 0)
        ranges.least("split_seed", split_seed, 0)
        ranges.least("shuffle_blocks", shuffle_blocks, 1)
        ranges.least("train_size", train_size, 1)
        ranges.share("train_fraction", train_fraction, ends=(1,))
        ranges.share("val_fraction", val_fraction)
        ranges.settle()
        if self.dims == 3 and shuffle_blocks is not None:
            raise UserError(
                "shuffle_blocks cuts images into squares, and these are volumes\nLeave out --data.shuffle_blocks."
            )
        if isinstance(augmentation, str):
            defaults = volumes.DEFAULTS if self.dims == 3 else augmentations.DEFAULTS
            self.augmentation = defaults[self.default_augmentation]
        else:
            self.augmentation = augmentation or []
            if self.augmentation:  # Mistakes come to light before any data are read.
                (of_volumes if self.dims == 3 else augmentations).build_transforms(self.augmentation)
        self._samples: SampleTable | None = None
        self._all_rows = np.zeros(0, dtype=np.int64)
        # The split of a run that is evaluated or gone on with, whether it counts, and whether the samples follow it.
        self.run_split: RunSplit | None = None
        self.authority: Authority = "run"
        self.follows_run = False
        self.network_size: tuple[int, ...] | None = None  # what a network takes that no trainer has
        self._looked_at: set[Path] = set()  # caches whose source files were looked at: once is enough for a run

    # What a subclass says, beside the attributes above and ``in_chans``; an attribute will do for a property.

    @property
    def target(self) -> Target:
        """Kind of target."""
        raise NotImplementedError

    @property
    def class_names(self) -> list[str]:
        """Names of the classes or labels, in the order of the targets."""
        raise NotImplementedError

    @property
    def regions(self) -> list[list[int]] | None:
        """Labels in each region, where ``target`` is ``regions``."""
        return None

    @property
    def folder(self) -> Path | None:
        """Folder that the paths of the samples start from."""
        return self.root

    def load_samples(self) -> SampleTable:
        """Read the table of all samples with their splits (training subset not yet taken).

        A draw goes by what the source says of a row. So where options choose labels, read them in another way or leave
        rows out, ``source_labels`` and ``unused`` of the table tell what there is without them.
        """
        raise NotImplementedError

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> Reader:
        """What reads the image of a row of ``samples``, for the rows of one split.

        Args:
            split: the split.
            size: sides that images are resized to afterwards: no more need be decoded. None for images as
                they are stored, whole, and without what the data module makes of them.
        """
        raise NotImplementedError

    def file_reader(self, folder: Path, paths: np.ndarray, size: tuple[int, ...] | None) -> FileReader:
        """What reads image files, wherever they are, as those of this source are read; ``size`` as above."""
        return FileReader(folder, paths, self.in_chans, at_least=size)

    def sizes(self, rows: np.ndarray) -> np.ndarray | None:
        """How large what each row shows is (n,), where that is known and may tell the class by itself; None elsewhere.

        Args:
            rows: of ``samples`` (n,).
        """
        return None

    def columns_of(self, rows: np.ndarray) -> Any:
        """What the source tells of samples beside their labels: a pandas table of text with a row for each, or None.

        Args:
            rows: of ``samples`` (n,).
        """
        import pandas as pd

        domains = self.samples.domains
        return None if domains is None else pd.DataFrame({"domain": domains[rows].astype(object)})

    # What the others use.

    def groups_of(self, rows: np.ndarray) -> list[Subgroup]:
        """The groups that ``subgroups`` makes of some rows of ``samples`` (n,).

        Raises:
            UserError: the source tells no such thing.
        """
        if not self.subgroups:
            return []
        return subgroups(self.subgroups, self.columns_of(rows), type(self).__name__.removesuffix("DataModule"))

    @property
    def samples(self) -> SampleTable:
        """All samples with targets, patients and splits; read on first use."""
        if self._samples is None:
            whole = self.load_samples()
            table = whole.used()
            self._all_rows = np.flatnonzero(table.split != "")
            self.follows_run = self._run_decides and self.run_split.impose(table)  # type: ignore[union-attr]
            leave_out(table, self.exclude)
            if not self.follows_run:
                take_subset(table, whole, self.train_fraction, self.train_size, self.seed)
            if self.known_leak:
                log.warning("%s. Its numbers are good for comparison with that paper alone.", self.known_leak)
            else:
                table.check_disjoint("the run's split" if self.follows_run else "the data")
            self.check_samples(table)
            self._samples = table
        return self._samples

    def check_samples(self, table: SampleTable) -> None:
        """See that there is something to learn of every class.

        Raises:
            UserError: there is not.
        """
        check_classes(table, self.target, self.class_names, bool(self.train_size or self.train_fraction < 1))

    def look_at(self, table: SampleTable) -> None:
        """Take a table for ``samples`` with all its training samples and unchecked: to see what is wrong with it."""
        leave_out(table, self.exclude)
        self._samples = table

    @property
    def _run_decides(self) -> bool:
        return self.run_split is not None and self.authority == "run"

    @property
    def all_rows(self) -> np.ndarray:
        """Rows of ``samples`` that are in a split, those that ``exclude`` and ``train_fraction`` leave out included."""
        _ = self.samples
        return self._all_rows

    @property
    def split_hash(self) -> str:
        """SHA-256 of which sample is in which split, the training subset included."""
        return split_hash(self.samples.ids, self.samples.split)

    def split_frame(self) -> Any:
        """Pandas table with columns id, patient and split, which is empty for samples that were left out."""
        return self.samples.frame()

    @property
    def own_size(self) -> tuple[int, ...] | None:
        """Sides of images that are all of one size which a network had better take; None where it says."""
        return None

    @property
    def size(self) -> tuple[int, ...]:
        """Sides of the images: as configured, or else their own, or what the network takes."""
        size: Any = self.image_size or self.own_size or self.network_size
        if size is None:  # the trainer's network is made when the data are already at hand: it cannot tell them before
            size = getattr(getattr(self.trainer, "lightning_module", None), "input_size", None) or FALLBACK_SIZE
        sides = (size,) if isinstance(size, int) else tuple(int(side) for side in size[-self.dims :])
        return sides[:1] * (self.dims - len(sides)) + sides

    @property
    def contents(self) -> Contents:
        """What a cache of these images holds: not less where a run uses a part of them."""
        return Contents(type(self).__name__, self.samples, self.all_rows, self.make_reader, self.resize, self.in_chans)

    def reader_of(self, split: Split) -> Reader:
        """What reads the images of a split as the loaders do: from the cache if there is one."""
        if self.cache is None:
            return self.make_reader(split, self.size)
        is_first = self.trainer is None or not self.trainer.local_rank  # one process of a machine looks
        return open_cache(self.contents, self.cache, self.size, split, self._looked_at if is_first else None)

    def fill_cache(self, size: tuple[int, ...] | None, workers: int) -> tuple[list[str], list[str]]:
        """Decode all that a run may ask for into ``cache``: one on a share of the data reads the same.

        Args:
            size: sides to keep, or one number for all; those of the images if None.
            workers: processes.

        Returns:
            What to say of it, and the flags that a run needs beside ``cache``.

        Raises:
            UserError: the sides are more or fewer than the axes.
        """
        assert self.cache is not None
        self.train_fraction, self.train_size = 1.0, None
        self.prepare_data()
        wanted = self.size if size is None else size * self.dims if len(size) == 1 else size
        if len(wanted) != self.dims:
            told = f"--size has {len(wanted)} sides, and these images {self.dims}"
            raise UserError(f"{told}\nGive one number, or {self.dims}")
        place = build_cache(self.contents, self.cache, wanted, workers)
        what, unit = ("images", "pixels") if self.dims == 2 else ("volumes", "voxels")
        sides = " x ".join(map(str, place.size))
        count = f"{len(place.rows):,} {what} of {sides} {unit}, {bytes_of(place) / 1e6:,.1f} MB"
        asked = str(list(place.size)) if len(set(place.size)) > 1 else str(place.size[0])
        flags = [] if place.size == self.size else ["--data.image_size", asked]
        return [count, f"They are in {place.path}"], flags

    def hold_out_patients(self, table: SampleTable, fraction: float, new_split: Split) -> None:
        """Move a share of the training patients of a table to another split."""
        self._hold_out(table, hold_out, fraction, new_split)

    def hold_out_number(self, table: SampleTable, images: int, new_split: Split) -> None:
        """Move training patients of a table to another split until they have so many images between them."""
        self._hold_out(table, hold_out_images, images, new_split)

    def hold_out_missing(self, table: SampleTable, test_fraction: float) -> list[Split]:
        """Draw from the training patients of a table the test split, then the validation split, if it has none.

        Returns:
            The splits that were drawn; none for a share of 0.
        """
        fractions: dict[Split, float] = {"test": test_fraction, "val": self.val_fraction}
        drawn = [split for split, fraction in fractions.items() if fraction and not len(table.rows(split))]
        for split in drawn:
            self.hold_out_patients(table, fractions[split], split)
        return drawn

    def deal_folds(self, table: SampleTable, number: int) -> np.ndarray:
        """Fold of each sample of a table, counted from 0, int64 (N,): patients are dealt out to so many folds.

        Rows in no split are in no fold, -1.
        """
        rows, fold = np.flatnonzero(table.split != ""), np.full(len(table), -1)
        fold[rows] = folds(self._units(table)[rows], table.strata[rows], number, self.split_seed)
        return fold

    def _hold_out(self, table: SampleTable, draw: Callable[..., np.ndarray], size: float, new_split: Split) -> None:
        if self._run_decides and self.run_split.knows(table):  # type: ignore[union-attr]
            return  # what would be drawn here gives way to it
        rows = table.rows("train")
        held_out = draw(self._units(table)[rows], table.strata[rows], size, self.split_seed)
        table.split[rows[held_out]] = new_split

    def _units(self, table: SampleTable) -> np.ndarray:
        if table.patients is not None:
            return table.patients
        return units(table, None if table.paths is None else self.folder)

    # Lightning's hooks.

    @classmethod
    def load_from_checkpoint(cls, *_: Any, **__: Any) -> NoReturn:
        """Not offered: Lightning would import and call what the checkpoint names."""
        raise UserError(f"A checkpoint holds no data.\nBuild them: {cls.__name__}(root=...)")

    def prepare_data(self) -> None:
        """Verify the files, in one process per machine."""
        for split in SPLITS if self.verify else ():
            reader = self.make_reader(split, self.size)
            if hasattr(reader, "verify"):
                reader.verify(self.samples.rows(split))

    def setup(self, stage: str | None = None) -> None:
        """Read the table and check it."""
        self.features = {}  # those of another network, of a run before
        needed: dict[str | None, Sequence[Split]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": (self.predict_split,),
        }
        for split in needed.get(stage, ("train", "val")):
            if not len(self.samples.rows(split)):
                raise UserError(f"The {split} split is empty\nin the data under {self.root}")
        self.groups_of(self.samples.rows("test"))  # A column that is not there comes to light before any work.
        if self.run_split is not None and not self.follows_run and stage != "predict":
            self.run_split.check(self.samples, stage, self.authority)
