"""How well scores agree with outcomes, in words, tables, files and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfusion_cli import text
from transfusion_cli.files import require_writable, whole_file, write_json, write_text
from transfusion_cli.spreadsheet import spreadsheet_frame
from transfusion_cli.transferability.evidence.agreement import over_targets
from transfusion_cli.transferability.evidence.by_target import by_target, left_out
from transfusion_cli.transferability.evidence.statistic import STATISTICS
from transfusion_cli.transferability.evidence.table_file import OUTCOME, Evidence, read_evidence
from transfusion_cli.transferability.evidence.verdict import verdict
from transfusion_cli.versions import free_path

if TYPE_CHECKING:
    import pandas as pd

STATIC_NOTE = "Static ranking: the mean outcome of a source on the other targets, each counted from its target's mean."
NOTES = (
    "Weighted tau: 1 is the order of the outcomes, 0 none, and the top weighs most. Regret: what the pick loses.",
    "Intervals are of one mean alone, by Student's t over targets, as if these were drawn at random.",
    "p (Holm) is of the difference in weighted tau, adjusted for all scores compared.",
)


def report(path: Path, outcome: str = OUTCOME, out: Path | None = None) -> str:
    """Say how well the scores in a table agree with its outcomes, and whether they beat the static ranking.

    Args:
        path: the table, see ``read_evidence``.
        outcome: the measure that is the outcome; higher is better.
        out: a folder for ``agreement.csv``, ``agreement_by_target.csv``, ``agreement.json`` and ``agreement.png``; what
            is there stays, and the new ones get a number.

    Raises:
        UserError: the table cannot be used.
        Fault: a file cannot be written.
    """
    if out is not None:
        require_writable(out.expanduser())
    return told(read_evidence(path, outcome), outcome, out)


def told(evidence: dict[str, Evidence], outcome: str, out: Path | None = None) -> str:
    """The same of scores and outcomes at hand.

    Args:
        evidence: by what is chosen.
        outcome: what the outcomes are, in words.
        out: as of ``report``.
    """
    values = {name: by_target(*one) for name, one in evidence.items()}
    found = {name: over_targets(each) for name, each in values.items()}
    parts = [_part(name, outcome, found[name], values[name]) for name in evidence]
    notes = [STATIC_NOTE, *NOTES] if any(one.static is None for one in evidence.values()) else NOTES
    lines = [*"\n\n".join(parts).splitlines(), "", *notes]
    if out is not None:
        lines += ["", *(f"Written to {one}" for one in write(values, found, out.expanduser()))]
    return "\n".join(lines)


def write(values: dict[str, pd.DataFrame], found: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write tables, JSON and the figure into a folder, each whole, under names that nothing has yet.

    Args:
        values: by what is chosen, as of ``by_target``.
        found: the same as of ``over_targets``.
        folder: made if absent.
    """
    import pandas as pd

    from transfusion_cli.transferability.evidence.figure import agreement_figure

    names = ("agreement.csv", "agreement_by_target.csv", "agreement.json", "agreement.png")
    paths = [free_path(folder / name) for name in names]
    for path, frames in zip(paths, (found, values), strict=False):
        frame = pd.concat(frames, names=["choosing"]).reset_index(level=0)
        write_text(path, spreadsheet_frame(frame).to_csv(index=False))
    said = {
        name: {
            "verdict": verdict(found[name]),
            "left_out": left_out(values[name]),
            "agreement": _records(found[name]),
            "by_target": _records(values[name]),
        }
        for name in found
    }
    write_json(paths[2], {"choosing": said})
    with whole_file(paths[3]) as file:
        agreement_figure(found).savefig(file, format="png", dpi=150)
    return paths


def _part(name: str, outcome: str, found: pd.DataFrame, values: pd.DataFrame) -> str:
    """Table and words of one thing to choose."""
    lines = [f"Choosing the {name}: agreement with {outcome}, means over targets", ""]
    lines += [*text.table(_cells(found)), "", *verdict(found)]
    lines += [f"Left out: {one}." for one in left_out(values)]
    if found["targets"].max() == 1:
        lines.append("One target alone: no intervals; a static ranking by outcomes takes those on other targets.")
    return "\n".join(lines)


def _cells(found: pd.DataFrame) -> list[list[str]]:
    """A row for each measure, as ``text.table`` takes them."""
    first, *others = STATISTICS
    titles = [first.title, "95 % interval", "minus static", "95 % interval", "p (Holm)"]
    rows = [["", *titles, *(one.title for one in others), "targets", "sources"]]
    for measure, own in found.groupby("measure", sort=False):
        by_name = {row["statistic"]: row for row in own.to_dict("records")}
        main = by_name[first.name]
        p = main["p_holm"]
        rows.append(
            [
                str(measure),
                _number(main["value"]),
                _interval(main["low"], main["high"]),
                _number(main["difference"], "+"),
                _interval(main["difference_low"], main["difference_high"], "+"),
                "" if p != p else "< 0.001" if p < 0.001 else f"{p:.3f}",
                *(_number(by_name[one.name]["value"]) for one in others),
                str(main["targets"]),
                _range(main["fewest"], main["most"]),
            ]
        )
    return rows


def _number(value: float, sign: str = "-") -> str:
    return "" if value != value else f"{value:{sign}.3f}"


def _interval(low: float, high: float, sign: str = "-") -> str:
    return "" if low != low else f"{low:{sign}.3f} to {high:{sign}.3f}"


def _range(fewest: float, most: float) -> str:
    if fewest != fewest:
        return ""
    return f"{fewest:.0f}" if fewest == most else f"{fewest:.0f} to {most:.0f}"


def _records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows for JSON: what is undefined is null."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")
