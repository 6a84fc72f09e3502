"""The work of ``transfusion rank``, from flags to files."""

import argparse
import json
import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm.contrib.logging import logging_redirect_tqdm

from transfusion_cli.cli.data_cli import DataCLI
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.cli.winner import write_winner
from transfusion_cli.data.feature_store import FeatureStore
from transfusion_cli.errors import UserError
from transfusion_cli.files import require_writable, whole_file, write_json, write_text
from transfusion_cli.models import pretrained
from transfusion_cli.spreadsheet import spreadsheet_frame
from transfusion_cli.transferability import DEFAULT
from transfusion_cli.transferability.ac_corr import Training
from transfusion_cli.transferability.candidates import read_candidates
from transfusion_cli.transferability.evidence.outcomes import outcomes
from transfusion_cli.transferability.figures import ranking_figure
from transfusion_cli.transferability.images import Images
from transfusion_cli.transferability.ranking import AC_CORR, PARAMETERS, Ranking, rank
from transfusion_cli.transferability.scores.base import scores
from transfusion_cli.transferability.static import read_static
from transfusion_cli.transferability.survey import survey
from transfusion_cli.transferability.table import told
from transfusion_cli.transferability.worth import target_of, worth
from transfusion_cli.versions import free_path


def ranked(own: argparse.Namespace, rest: list[str], args: list[str]) -> Path:
    """Rank candidates and write what was found.

    Args:
        own: flags of the verb.
        rest: flags of the config.
        args: all, as typed.

    Returns:
        The folder.

    Raises:
        UserError: no candidate could be looked at, or the data or the flags do not serve.
    """
    quieten()
    candidates, known = read_candidates(own.candidates), scores()
    chosen = measures(own, list(known))
    cli = DataCLI(rest)
    data = cli.datamodule
    found = None if own.outcomes is None else outcomes(own.outcomes, own.outcome, Path(cli.own.root))
    static = None if own.static is None else read_static(own.static)
    folder = free_path((own.out or Path("ranking") / cli.own.name).expanduser())
    require_writable(folder)
    store = FeatureStore(own.features)
    require_writable(store.folder)
    training = Training(own.ac_corr or 1, own.ac_corr_lr, own.seed) if AC_CORR in chosen else None
    given = cli.own.model.init_args.as_dict() if "init_args" in cli.own.model else {}
    model = given | {name: getattr(data, name) for name in ("target", "class_names", "dims")}
    device = own.device or ("cuda" if torch.cuda.is_available() else "cpu")
    with beside_bars():
        images = Images(data, own.split, own.images, own.seed, store.folder)
        seen = survey(candidates, model, images, store, device, training)
        if not seen.seen:
            raise UserError("\n".join(["None of the candidates could be looked at:", *reasons(seen.failed)[:2]]))
        facts = None if training is None else training.facts(images)
        target = target_of(own.target, type(data).__name__.removesuffix("DataModule"), found)
        ranking = rank(seen, chosen, known, images, target, own.halves, own.seed, facts)
    texts = [told(ranking)]
    write(folder, ranking, {"arguments": args, "seed": own.seed, "split": own.split, "device": device})
    if found is not None:
        texts.append(worth(ranking, found, static, own.outcome or "the outcomes", folder))
    then = f"Written to {folder}/"
    if ranking.winner is not None:
        winner = next(one.candidate for one in seen.seen if one.candidate.name == ranking.winner)
        why = f"first of {len(ranking.order)} by {ranking.titles[ranking.chosen]}"
        config = write_winner(cli, winner, model, folder, why)
        then += f"\nNext: transfusion fit --config {shlex.quote(str(config))}"
    write_text(folder / "ranking.txt", "\n\n".join(texts) + "\n")
    print("\n" + "\n\n".join(texts))
    print(f"\n{then}")
    return folder


@contextmanager
def beside_bars() -> Iterator[None]:
    """Log above the bars, and nothing of weights that fit: their own classifier is not left out here."""
    loading = logging.getLogger(pretrained.__name__)
    before = loading.level
    loading.setLevel(logging.WARNING)
    try:
        with logging_redirect_tqdm([logging.getLogger("transfusion_cli")]):
            yield
    finally:
        loading.setLevel(before)


def measures(own: argparse.Namespace, known: list[str]) -> list[str]:
    """What to rank by, the first of which decides the order."""
    asked = list(own.score or DEFAULT)
    every = [*known, PARAMETERS, *([AC_CORR] if own.ac_corr else [])]
    chosen = [name for word in asked for name in (every if word == "all" else [word])]
    return list(dict.fromkeys([*chosen, *([AC_CORR] if own.ac_corr else [])]))


def reasons(failed: dict[str, str]) -> list[str]:
    """A line for each candidate that failed, of which there may be many."""
    lines = [f"{name}: {why}"[:300] for name, why in failed.items()]
    return lines if len(lines) <= 2 else [lines[0], f"{lines[1][:250]} (and {len(lines) - 2} more)"]


def write(folder: Path, ranking: Ranking, about: dict[str, Any]) -> None:
    """Tables as CSV, everything as JSON, the figure as PNG and SVG."""
    frames = {"scores": ranking.best_first, "candidates": ranking.facts.reset_index()}
    for name, frame in frames.items():
        write_text(folder / f"{name}.csv", spreadsheet_frame(frame).to_csv(index=False))
    write_text(folder / "kendall.csv", ranking.kendall.to_csv())
    content = {name: json.loads(frame.to_json(orient="records")) for name, frame in frames.items()}
    content |= {"kendall": json.loads(ranking.kendall.to_json())}
    write_json(folder / "ranking.json", {**about, **ranking.about, **content})
    figure = ranking_figure(ranking)
    for kind in ("png", "svg"):
        with whole_file(folder / f"ranking.{kind}") as file:
            figure.savefig(file, format=kind, dpi=150)
