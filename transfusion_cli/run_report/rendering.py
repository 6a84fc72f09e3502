"""A report as HTML and as Markdown, each one file that needs no other."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from transfusion_cli.run_report.run_report import RunReport

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$&])")


def to_html(report: RunReport) -> str:
    """The report as a page: no script, nothing fetched, all that is told escaped."""
    return _environment(autoescape=True).get_template("report.html.jinja").render(report=report)


def to_markdown(report: RunReport) -> str:
    """The same as Markdown, its figures as addresses at the end that hold them."""
    environment = _environment(autoescape=False)
    environment.filters["md"] = escaped
    environment.filters["cell"] = lambda text: escaped(text.strip()) or " "
    uris: dict[str, str] = {}

    def figure(uri: str) -> str:
        return uris.setdefault(uri, f"figure-{len(uris) + 1}")

    body = environment.get_template("report.md.jinja").render(report=report, figure=figure, fence=fence)
    text = re.sub(r"\n{3,}", "\n\n", body).strip()
    return "\n".join([text, "", *(f"[{name}]: {uri}" for uri, name in uris.items())]).rstrip() + "\n"


def escaped(text: str) -> str:
    """A text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def fence(text: str) -> str:
    """Backticks that are longer than any in a text."""
    return "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)


def indented(text: str) -> Markup:
    """A first cell, moved in where it stands below another: two spaces say so."""
    plain = text.removeprefix("  ")
    return Markup('<span class="below">{}</span>').format(plain) if plain != text else Markup("{}").format(plain)


def _environment(autoescape: bool) -> Environment:
    loader = PackageLoader("transfusion_cli.run_report")
    made = Environment(
        loader=loader, autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["indented"] = indented
    return made
