"""Groups of runs as text and as a file."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from transfusion_cli import text
from transfusion_cli.comparison.groups import Group, Measure, brief
from transfusion_cli.files import write_text
from transfusion_cli.versions import free_path


def table(groups: Sequence[Group]) -> str:
    """The groups as plain text, a row each."""
    columns = list(dict.fromkeys(measure for group in groups for measure in group.measures))
    columns.sort(key=lambda name: not name.startswith("steps"))
    rows = [["run", "differs in", "runs", *columns]]
    for group in groups:
        cells = [_cell(group.measures[name]) if name in group.measures else "" for name in columns]
        rows.append([group.label, brief(group.differs), str(len(group.runs)), *cells])
    notes = ["mean ± standard deviation over seeds"]
    if any(name.startswith("steps") for name in columns):
        notes[0] += "; steps: mean up to the budget (95 % interval), runs that got there"
    budgets = {m.measure: m.budget for group in groups for m in group.measures.values() if not math.isnan(m.budget)}
    notes += [
        f"budget of {name}: {budget:,.0f} steps; a mean with runs missing is a lower bound"
        for name, budget in budgets.items()
    ]
    notes += [
        f"left out, as not of the test samples that the run held back, or with mirror images: {one.folder.path / name}"
        for group in groups
        for one in group.runs
        for name in one.left_out
    ]
    return "\n".join([*text.table(rows), "", *notes])


def _cell(measure: Measure) -> str:
    if measure.reached is None:
        return f"{measure.mean:.4f}" + ("" if math.isnan(measure.sd) else f" ± {measure.sd:.4f}")
    interval = "" if math.isnan(measure.low) else f" ({measure.low:,.0f} to {measure.high:,.0f})"
    missing = "> " if measure.reached < measure.runs else ""
    return f"{missing}{measure.mean:,.0f}{interval}, {measure.reached}/{measure.runs}"


def write(groups: Sequence[Group], path: Path) -> Path:
    """Write a CSV file with a row for each number of each group: ``path``, or ``name_1.csv`` where that exists."""
    path = free_path(path.expanduser())
    content = io.StringIO(newline="")
    writer = csv.writer(content)
    writer.writerow(["group", "name", "differs", "folders", *Measure._fields])
    for number, group in enumerate(groups):
        differs = "; ".join(f"{key}={value}" for key, value in group.differs.items())
        folders = "; ".join(str(one.folder) for one in group.runs)
        for measure in group.measures.values():
            cells = ["" if value is None or value != value else value for value in measure]
            writer.writerow([number, group.name, differs, folders, *cells])
    write_text(path, content.getvalue())
    return path
