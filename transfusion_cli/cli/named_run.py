"""``test RUN`` and ``fit --resume RUN``: a run in place of its checkpoint."""

import logging
import shlex
from pathlib import Path

from transfusion_cli.cli.config.flags import INPUT, value_of, without
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.errors import UserError
from transfusion_cli.reports.find_runs import runs_behind
from transfusion_cli.reports.run_state import RunState
from transfusion_cli.run_folder import ROOT, RunFolder

log = logging.getLogger(__name__)

RESUME = "--resume"
EVALUATES = ("validate", "test", "predict", "calibrate")


def with_run(verb: str, flags: list[str]) -> list[str]:
    """Flags with ``--ckpt_path`` in place of a run: ``fit`` goes on from its last checkpoint, others take its best.

    Args:
        verb: of LightningCLI.
        flags: what follows it; a run is named first, or by ``--resume`` of ``fit``.

    Raises:
        UserError: there is no such run, or it has no such checkpoint.
    """
    word, rest = _named(verb, flags)
    given = value_of(rest, INPUT) if verb == "predict" else None
    if given is not None and not Path(given).expanduser().exists():
        raise UserError(f"There is nothing at {given}.\n{INPUT} takes an image or a folder of images.")
    if word is None:
        return flags
    if value_of(rest, "--ckpt_path") is not None:
        raise UserError(f"{word} names a run and --ckpt_path a checkpoint.\nGive one of them.")
    if Path(word).expanduser().is_file():  # a checkpoint itself
        return ["--ckpt_path", word, *rest]
    run = one_run(verb, word, Path(value_of(rest, "--root") or ROOT))
    checkpoint = last_of(run, rest) if verb == "fit" else best_of(verb, run)
    return ["--ckpt_path", str(checkpoint), *rest]


def _named(verb: str, flags: list[str]) -> tuple[str | None, list[str]]:
    if verb in EVALUATES and flags and not flags[0].startswith("-"):
        return flags[0], flags[1:]
    if verb == "fit" and any(flag.partition("=")[0] == RESUME for flag in flags):
        word = value_of(flags, RESUME)
        if not word or word.startswith("-"):
            raise UserError(f"{RESUME} takes a run.\nFor example: transfusion fit {RESUME} {ROOT}/NAME/version_0")
        return word, without(flags, RESUME)
    return None, flags


def one_run(verb: str, word: str, root: Path) -> RunFolder:
    """The run folder behind a folder or a name: itself, or the newest of that name.

    Raises:
        UserError: there is none, or there are several names.
    """
    places = [Path(word).expanduser(), root / word]
    if Path(word).name == "latest":
        places += [place.parent for place in places]  # where there are no links
    runs = next((runs for place in places if (runs := runs_behind(place))), [])
    names = sorted({str(run.path.parent) for run in runs})
    if not runs:
        raise UserError(
            f"There is no run {word!r}.\n"
            f"Give its folder, such as {root}/NAME/version_0, or its name under --root {root}.\n"
            f"Runs that there are: transfusion runs {shlex.quote(str(root))}"
        )
    if len(names) > 1:
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        raise UserError(
            f"There are runs of {len(names)} names in {word}: {', '.join(names[:4])}{more}\n"
            f"Name one: transfusion {verb} {f'{RESUME} ' if verb == 'fit' else ''}{shlex.quote(names[0])}"
        )
    return runs[-1]


def last_of(run: RunFolder, flags: list[str]) -> Path:
    """The checkpoint that training goes on from.

    Raises:
        UserError: there is none, or nothing is left to train.
    """
    state, quoted = RunState.read(run), shlex.quote(str(run))
    if state.state == "failed":
        raise UserError(
            f"{run} has no checkpoints/last.ckpt to go on from: it ended before its first was written.\n"
            f"Start it anew: transfusion fit --config {shlex.quote(str(run.config))}"
        )
    if state.state == "finished" and not flags:
        more = 2 * state.record.epochs
        raise UserError(
            f"{run} is finished: {state.progress} epochs.\n"
            f"To train on, ask for more: transfusion fit {RESUME} {quoted} --trainer.max_epochs {more}"
        )
    if state.state == "running" and not run.last.is_file():
        raise UserError(f"{run} is running, and has no checkpoint yet.\nIts state: transfusion runs {run.path.parent}")
    return run.last


def best_of(verb: str, run: RunFolder) -> Path:
    """The checkpoint that is evaluated; says so where the run is not finished.

    Raises:
        UserError: there is none.
    """
    state = RunState.read(run)
    if not run.best.is_file() and run.last.is_file() and state.state == "finished":
        quieten()
        log.warning("%s has validated nothing: its last epoch is evaluated.", run)
        return run.last
    if not run.best.is_file():
        others = [other for other in runs_behind(run.path.parent) if other.best.is_file()]
        advice = "Runs that there are: transfusion runs " + shlex.quote(str(run.path.parent))
        if others:
            advice = f"The newest run that has one: transfusion {verb} {shlex.quote(str(others[-1]))}"
        elif state.state == "stopped":
            advice = f"Go on with it: transfusion fit {RESUME} {shlex.quote(str(run))}"
        raise UserError(
            f"{run} has no checkpoints/best.ckpt: it is {state.state}, after {state.progress} epochs.\n{advice}"
        )
    if state.state != "finished":
        quieten()
        log.warning("%s is %s, after %s epochs: this is its best until now.", run, state.state, state.progress)
    return run.best
