"""``test RUN RUN ...`` and ``predict RUN RUN ... --input FOLDER``: folds, seeds or epochs together."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transfusion_cli.cli.config.flags import INPUT, LABEL_MAP, value_of, without
from transfusion_cli.cli.named_run import best_of, one_run
from transfusion_cli.errors import UserError
from transfusion_cli.files import write_json, write_text
from transfusion_cli.run_folder import ROOT, RunFolder
from transfusion_cli.versions import free_path

FOLDER = "together"
"""Where the results of several runs lie, beside the first of them."""


def words_of(flags: Sequence[str]) -> list[str]:
    """The runs that are named first."""
    end = next((at for at, flag in enumerate(flags) if flag.startswith("-")), len(flags))
    return list(flags[:end])


def run(verb: str, args: list[str]) -> Path:
    """Evaluate each run in turn, in this process alone, and write what they say together.

    Returns:
        The folder that it was written to.

    Raises:
        UserError: a run is named twice, or what they were tested on does not go together.
    """
    from transfusion_cli.cli.main import main

    words = words_of(args)
    flags, root = args[len(words) :], Path(value_of(args, "--root") or ROOT)
    if verb == "predict" and value_of(flags, INPUT) is None:
        raise UserError(
            f"Several runs predict images that none of them knows: add {INPUT} FOLDER\n"
            f"On what they hold back: transfusion test {shlex.join(words)}"
        )
    checkpoints = [_checkpoint(verb, word, root) for word in words]
    if len({path.resolve() for path in checkpoints}) < len(checkpoints):
        raise UserError(f"A run is named twice: {' '.join(words)}\nGive each once.")
    output = value_of(flags, "--output")
    home = Path(output).expanduser() if output else _beside(checkpoints[0]) / FOLDER
    home = free_path(home) if home.exists() and any(home.iterdir()) else home
    flags = without(flags, "--output")
    if value_of(flags, "--trainer.devices") is None:
        flags = [*flags, "--trainer.devices", "1"]  # processes that a member starts would begin all over
    members = []
    for number, (word, checkpoint) in enumerate(zip(words, checkpoints, strict=True)):
        print(f"\n{word} ({number + 1} of {len(words)})")
        members.append(RunFolder(home / f"member_{number}"))
        main([verb, "--ckpt_path", str(checkpoint), *flags, "--output", str(members[-1])])
    if verb == "test":
        unchecked = value_of(flags, "--split") == "data_unchecked" and value_of(flags, LABEL_MAP) is not None
        _test(home, members, words, checkpoints, unchecked)
    else:
        _predict(home, members, words)
    print(f"\nWritten to {home}/")
    return home


def _checkpoint(verb: str, word: str, root: Path) -> Path:
    path = Path(word).expanduser()
    return path if path.is_file() else best_of(verb, one_run(verb, word, root))


def _beside(checkpoint: Path) -> Path:
    """The folder above the run of a checkpoint, or that of the checkpoint."""
    held = RunFolder.holding(checkpoint)
    return checkpoint.parent if held is None else held.shown.parent


def _test(home: Path, members: list[RunFolder], words: list[str], checkpoints: list[Path], unchecked: bool) -> None:
    import pandas as pd

    from transfusion_cli.comparison.decided_together import MemberDecisions, decided_together
    from transfusion_cli.comparison.tested import read_predictions
    from transfusion_cli.comparison.together import together
    from transfusion_cli.metrics.results import build_results, format_table
    from transfusion_cli.spreadsheet import spreadsheet_frame

    results = [json.loads(member.results.read_text(encoding="utf-8")) for member in members]
    tests = [
        read_predictions(member.test_predictions, [name.removeprefix("test/") for name in own])
        for member, own in zip(members, results, strict=True)
    ]
    found = together(tests, words)
    if found.how == "pooled":
        refuse_other_data(words, [own["provenance"] for own in results])
    for word, checkpoint, test in zip(words, checkpoints, tests, strict=True):
        refuse_seen(word, checkpoint, test.ids, test.evaluation.patients, unchecked)
    whole: dict[str, Any] = build_results(found.evaluation)
    table = format_table(whole)
    whole["provenance"] = {
        "command": ["transfusion", *sys.argv[1:]],
        "how": found.how,
        "members": [own["provenance"] for own in results],
        "own_split": None,
    }
    names = list(found.evaluation.questions.names)
    tables = [_table(member.test_predictions) for member in members]
    decisions = _of_all([MemberDecisions.read(frame, names) for frame in tables], words)
    decided = decided_together(found.how, found.evaluation, decisions) if decisions else None
    whole |= decided.results if decided else {}
    write_json(home / members[0].results.name, whole)
    patients = found.evaluation.patients
    columns = {"id": found.ids, "patient": "" if patients is None else patients}
    columns |= found.evaluation.columns() | (decided.columns if decided else {})
    frame = pd.DataFrame({**columns, **found.evaluation.truth()})
    write_text(home / members[0].test_predictions.name, spreadsheet_frame(frame).to_csv(index=False))
    titles = {
        "pooled": f"Out of fold, {len(words)} tests pooled: each sample by the one network that never saw it",
        "ensemble": f"Ensemble of {len(words)} networks: the mean of their probabilities",
    }
    metrics = [name for name in found.evaluation.metrics if "/" not in name]
    over = "images (no patients known)" if patients is None else "patients"
    print(f"\n{titles[found.how]}, 95 % intervals over {over}\n{table}")
    alone = {metric: [_value(own.get(f"test/{metric}")) for own in results] for metric in metrics if metric != "loss"}
    shown = {metric: values for metric, values in alone.items() if metric in ("auroc", "balanced_accuracy", "kappa")}
    print("\n" + "\n".join(f"each alone  {metric}  {'  '.join(values)}" for metric, values in shown.items()))
    if decided:
        rules = dict.fromkeys(own["provenance"].get("threshold_rule") for own in results)
        at = f" (thresholds by {', by '.join(filter(None, rules))})" if any(rules) else ""
        print(f"\n{decided.title}{at}\n{decided.text}")


def _value(entry: dict[str, Any] | None) -> str:
    value = (entry or {}).get("value")
    return "undefined" if value is None else f"{value:.3f}"


def refuse_other_data(words: Sequence[str], provenances: Sequence[dict[str, Any]]) -> None:
    """See that tests to be pooled are parts of the same data.

    Args:
        words: the runs, as the user called them.
        provenances: of their results.

    Raises:
        UserError: they are not.
    """
    sources = [(own["data"], own.get("table")) for own in provenances]
    for word, source in zip(words, sources, strict=True):
        if source != sources[0]:
            first, other = (table or data for data, table in (sources[0], source))
            raise UserError(
                f"{words[0]} was tested on {first}, and {word} on {other}: these are no folds of one data set\n"
                f"Test one at a time: transfusion test {shlex.quote(word)}"
            )


def refuse_seen(word: str, checkpoint: Path, ids: Any, patients: Any, unchecked: bool = False) -> None:
    """See that a run has trained on none of what it is part of the test of, nor on other images of its patients.

    Args:
        word: the run, as the user called it.
        checkpoint: of the run.
        ids: of the samples (N,).
        patients: of each, or None.
        unchecked: whether names are known to be those of others: data of another hospital, by the user's word.

    Raises:
        UserError: it has.
    """
    from transfusion_cli.data.run_split import RunSplit

    split = RunFolder.split_of(checkpoint)
    if split is None:
        raise UserError(
            f"What {word} was trained on cannot be known: there is no split.csv beside it\n"
            "Give checkpoints in the folders of their runs."
        )
    seen = RunSplit.read(split).trained_on(ids, patients, "test")
    if seen.any() and not unchecked:
        raise UserError(
            f"{word} was trained on {seen.sum():,} of the {len(ids):,} samples, or on their patients: for example "
            f"{ids[seen][0]}\nNetworks are tested together on what none of them has seen. Runs with one "
            "--data.split_seed hold back the same."
        )


def _predict(home: Path, members: list[RunFolder], words: list[str]) -> None:
    from transfusion_cli.comparison.decided_together import MemberDecisions, decision_columns, ensemble_columns

    frames = []
    for member, word in zip(members, words, strict=True):
        if not member.predictions.is_file():
            raise UserError(f"{word} predicts no labels: several runs together are for labels\nGive one run.")
        frames.append(_table(member.predictions))
    names = [name[2:] for name in frames[0].columns if name.startswith("p_")]
    common = [[name for name in frame.columns if name not in decision_columns(names)] for frame in frames]
    for frame, columns, word in zip(frames, common, words, strict=True):
        if columns != common[0]:
            raise UserError(f"{words[0]} and {word} do not predict the same labels\nGive runs on the same labels.")
        if frame.iloc[:, 0].tolist() != frames[0].iloc[:, 0].tolist():
            raise UserError(f"{words[0]} and {word} could not read the same images\nRemove those that cannot be read.")
    mean = frames[0][common[0]].copy()
    for name in names:
        mean[f"p_{name}"] = sum(frame[f"p_{name}"].astype(float) for frame in frames) / len(frames)
    if decisions := _of_all([MemberDecisions.read(frame, names) for frame in frames], words):
        mean = mean.assign(**ensemble_columns(decisions, names))
    write_text(home / members[0].predictions.name, mean.to_csv(index=False))


def _table(path: Path) -> Any:
    """Predictions as texts, in the order of their ids."""
    import pandas as pd

    frame = pd.read_csv(path, keep_default_na=False, dtype=str)
    return frame.sort_values(frame.columns[0], kind="stable")


def _of_all(decisions: Sequence[Any], words: Sequence[str]) -> list[Any]:
    """The decisions of all members; none, and a line that says so, where only some have any."""
    missing = [word for word, one in zip(words, decisions, strict=True) if one is None]
    if missing and len(missing) < len(words):
        print(f"\nNothing is calibrated together: {', '.join(missing)} without decisions (transfusion calibrate RUN).")
    return [] if missing else list(decisions)
