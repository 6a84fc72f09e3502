"""Prepared cases on disk: which folder is whose, and making them."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset
from tqdm import tqdm

from transfusion_cli.data.cache.decoder import decoded
from transfusion_cli.data.volumes.case_files import CaseFiles
from transfusion_cli.data.volumes.preprocessing import Preprocessing
from transfusion_cli.data.volumes.sources import facts_of, replaced
from transfusion_cli.data.volumes.stored_case import StoredCase
from transfusion_cli.errors import UserError
from transfusion_cli.files import not_written, write_json, write_text
from transfusion_cli.lock import FileLock

FORMAT = 1
"""Raised whenever the same files give other arrays, or these lie elsewhere."""

Done = tuple[int, str, OSError | None]
"""Row, why its case cannot be read, why it could not be written."""


class VolumeStore(Dataset[list[Done]]):
    """Cases that were prepared in one way, each in a folder of its own: runs on other parts of the data share them.

    Args:
        cache: folder of such stores.
        files: of the cases.
        preprocessing: what is made of them.
    """

    def __init__(self, cache: Path, files: CaseFiles, preprocessing: Preprocessing) -> None:
        self.cache, self.files, self.preprocessing = cache, files, preprocessing
        self.plain = {name: value for name, value in preprocessing.to_dict().items() if name != "patch_size"}
        facts = [FORMAT, sorted(self.plain.items()), files.channels, sorted(files.labels.items()), files.geometry]
        self.path = cache / f"volumes-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"

    def folder(self, row: int) -> Path:
        """Where a case is."""
        name = str(self.files.ids[row])
        readable = re.sub(r"[^\w.-]+", "_", name)[:60].lstrip(".")
        return self.path / f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    def open(self, rows: np.ndarray) -> dict[int, StoredCase]:
        """Find cases, by row.

        Raises:
            UserError: one is not there, or was made from other files; says what to type.
        """
        found, missing = {}, []
        for row in rows.tolist():
            case = StoredCase.open(self.folder(row))
            if case is None:
                missing.append(row)
                continue
            if (name := replaced(self.files.paths(row), case.sources)) is not None:
                raise UserError(f"{name} is not the file that {case.folder} was made from\n{self._hint()}")
            case.check()
            found[row] = case
        if missing:
            raise UserError(
                f"{len(missing)} of {len(rows)} cases, such as {self.files.ids[missing[0]]}, are not prepared in this "
                f"way\nin {self.path}\n{self._hint()}"
            )
        return found

    def prepare(self, rows: np.ndarray, workers: int) -> list[StoredCase]:
        """Make the cases that are not there yet, or whose files were replaced since.

        An attempt that was interrupted goes on where it stopped; one that runs at the same time elsewhere is waited
        for.

        Args:
            rows: the cases.
            workers: processes, each of which holds a case; 0 and 1 work in this one.

        Returns:
            All of them.

        Raises:
            Fault: one cannot be written.
            UserError: some cannot be read; their ids are in ``unreadable.txt``.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path / "lock"):
                write_json(self.path / "preprocessing.json", self.plain)
                todo = [[row] for row in rows.tolist() if not self._is_there(row)]
                reasons = self._make(todo, workers)
        except OSError as error:
            raise not_written(Path(error.filename or self.path), error) from error
        if reasons:
            raise self._unreadable(reasons, len(rows))
        return list(self.open(rows).values())

    def __getitems__(self, rows: Sequence[int]) -> list[Done]:
        """Make cases; runs in the worker processes."""
        return [self._done(row) for row in rows]

    def _done(self, row: int) -> Done:
        try:
            sources = facts_of(self.files.paths(row))  # first: what changes from now on will be another file
            image = self.files.image(row)
            mask, moved = self.files.mask(row, image)
            case = self.preprocessing.apply(image, mask)
        except (UserError, OSError) as error:
            return row, str(error), None
        try:
            StoredCase.save(self.folder(row), str(self.files.ids[row]), case, moved, sources)
        except OSError as error:
            return row, "", error
        return row, "", None

    def _make(self, todo: list[list[int]], workers: int) -> dict[int, str]:
        reasons = {}
        with tqdm(total=len(todo), desc="preparing", unit=" cases", disable=None if todo else True) as bar:
            for [(row, reason, failure)] in decoded(self, todo, workers):
                if failure is not None:
                    raise failure
                if reason:
                    reasons[row] = reason
                bar.update()
        return reasons

    def _is_there(self, row: int) -> bool:
        case = StoredCase.open(self.folder(row))
        return case is not None and replaced(self.files.paths(row), case.sources) is None

    def _unreadable(self, reasons: dict[int, str], total: int) -> UserError:
        path = self.path / "unreadable.txt"
        write_text(path, "".join(f"{self.files.ids[row]}\n" for row in sorted(reasons)))
        first = ": ".join(reasons[min(reasons)].splitlines()[:2])
        return UserError(
            f"{len(reasons):,} of {total:,} cases cannot be read; their ids are in {path}\n{first}\n"
            f"Mend the files, or leave them out with --data.exclude {shlex.quote(str(path))}"
        )

    def _hint(self) -> str:
        return (
            "With the --config and the --data flags of this run: "
            f"transfusion data prepare --data.cache {shlex.quote(str(self.cache))}"
        )
