"""Groups of samples by what a table says of them: sex, an age below 40, a site, a view."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

MOST = 20
"""Groups that one column may make; more are numbers or names that nobody compares."""

ALIASES = {
    "sex": ("sex", "gender", "patientsex", "patientgender"),
    "age": ("age", "patientage", "ageapprox", "ageyears"),
    "view": ("view", "viewposition", "appa", "frontallateral"),
    "site": (
        *("site", "domain", "hospital", "institution", "center", "centre"),
        *("anatomsitegeneral", "anatomsitegeneralchallenge", "localization"),
    ),
}
"""Names that stand for the columns of many tables, and what these are called there, the likeliest first."""

_BOUND = re.compile(r"(?P<column>.+?)\s*(?P<sign><=|>=|<|>)\s*(?P<bound>-?\d+(?:\.\d+)?)")
_RANGE = re.compile(r"(?P<column>.+?)\s*:\s*(?P<low>\d+(?:\.\d+)?)\s*-\s*(?P<high>\d+(?:\.\d+)?)")
_AGE = re.compile(r"0*(\d+(?:\.\d+)?)\s*([YMWD]?)", re.IGNORECASE)
_YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_OPPOSITE = {"<": ">=", ">=": "<", "<=": ">", ">": "<="}


@dataclass(frozen=True)
class Subgroup:
    """Samples that have something in common.

    Args:
        name: ``sex=Female`` or ``age<40``.
        asked: what was asked for, ``sex``: all groups of that share it, and each sample is in one of them at most.
        column: of the table.
        member: which samples are in it, bool (N,).
        others: which are in another group of the same asking, bool (N,); those of which nothing is known are in none.
    """

    name: str
    asked: str
    column: str
    member: np.ndarray
    others: np.ndarray


def subgroups(asked: Iterable[str], facts: pd.DataFrame | None, source: str) -> list[Subgroup]:
    """The groups that each of several askings makes.

    ``sex`` makes a group of each value of that column, ``age<40`` (or <=, >, >=) two, and ``age:40-65`` three: those
    below, from 40 to 65 with both ends, and above. Ages may be written as DICOM does: ``058Y``, ``011M``.

    Args:
        asked: ``sex``, ``age<40`` and so on; columns by name, however it is spelt, or by one of ``ALIASES``.
        facts: text columns with a row for each sample, missing where nothing is known; None where there is no table.
        source: what the columns are of, for messages.

    Raises:
        UserError: no such column, or one that makes too many groups, or is no number where it should be.
    """
    if facts is None:
        raise UserError(
            f"subgroups: {source} tells nothing of its images that groups could go by\n"
            "Leave out --data.subgroups, or give images by a table: --data ImageTable --data.table FILE"
        )
    found: dict[str, Subgroup] = {}
    for one in asked:
        for group in _groups(str(one).strip(), facts, source):
            found.setdefault(group.name, group)  # of [age<40, age:40-65] one age<40
    return list(found.values())


def _groups(asked: str, facts: pd.DataFrame, source: str) -> list[Subgroup]:
    if found := _BOUND.fullmatch(asked):
        column, sign, bound = found["column"], found["sign"], float(found["bound"])
        values, name = _numbers(asked, column, facts, source)
        compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
        signs = (sign, _OPPOSITE[sign])
        members = {f"{column}{each}{found['bound']}": compare[each](values, bound) for each in signs}
    elif found := _RANGE.fullmatch(asked):
        column, low, high = found["column"], float(found["low"]), float(found["high"])
        if low > high:
            raise UserError(f"subgroups: {asked} ends before it begins\nTry {column}:{high:g}-{low:g}")
        values, name = _numbers(asked, column, facts, source)
        members = {
            f"{column}<{low:g}": values < low,
            asked: (values >= low) & (values <= high),
            f"{column}>{high:g}": values > high,
        }
    else:
        name = find_column(asked, list(facts.columns), source)
        texts = facts[name].fillna("").astype("str").to_numpy(dtype=object)
        distinct = sorted({text for text in texts.tolist() if text})
        if len(distinct) > MOST:
            number = "such as " + f"{asked}<40" if _AGE.fullmatch(distinct[0]) else "or another column"
            raise UserError(f"subgroups: {name} has {len(distinct)} values in {source}\nGive a bound, {number}")
        members = {f"{asked}={text}": texts == text for text in distinct}
    inside = np.logical_or.reduce(list(members.values()) or [np.zeros(len(facts), dtype=bool)])
    return [Subgroup(text, asked, name, member, inside & ~member) for text, member in members.items()]


def _numbers(asked: str, column: str, facts: pd.DataFrame, source: str) -> tuple[np.ndarray, str]:
    """A column as numbers, NaN where it is blank or says something else, and its name."""
    name = find_column(column, list(facts.columns), source)
    texts = facts[name].fillna("").astype("str")
    known = {text: number(text) for text in texts.unique()}
    values = texts.map(known).to_numpy(dtype=np.float64)
    if len(values) and np.isnan(values).all():
        example = next((text for text in known if text), "")
        told = f"holds no numbers, but {example!r} and the like" if example else "is blank"
        raise UserError(f"subgroups: {asked}, but column {name} of {source} {told}\nA group for each value: {column}")
    return values, name


def number(text: str) -> float:
    """A number, or an age as DICOM writes it, in years; NaN for any other text."""
    found = _AGE.fullmatch(text.strip())
    return float(found[1]) * _YEARS[found[2].upper()] if found else float("nan")


def find_column(asked: str, columns: Sequence[str], source: str) -> str:
    """The column that is meant: of that name, spelt in any way, or the first that it is an alias of.

    Raises:
        UserError: there is none.
    """
    plain = {_plain(column): column for column in reversed(columns)}
    for name in (_plain(asked), *ALIASES.get(_plain(asked), ())):
        if name in plain:
            return plain[name]
    # A word that stands for columns is as good an answer as a column itself.
    stands = {word for word, names in ALIASES.items() if any(name in plain for name in names)}
    raise UserError(f"subgroups: no column {asked!r} in {source}\n{did_you_mean(asked, [*columns, *sorted(stands)])}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
