"""What one could transfer from, as the user names it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from timm.models import is_model, split_model_name_tag

from transfusion_cli.analysis.spec import BEFORE, Spec
from transfusion_cli.errors import UserError
from transfusion_cli.models import pretrained as pretrained  # registers our backbones
from transfusion_cli.suggest import did_you_mean

DRAWN = "random"
"""Before a seed: weights drawn at random."""

KINDS = "NAME, NAME=FILE, NAME=random:SEED, a run, init:RUN, pretrained:RUN, random:SEED, @LIST.txt"


@dataclass(frozen=True)
class Candidate:
    """An architecture with weights.

    Args:
        name: what tables call it.
        backbone: timm name; None where ``spec``, or the config, says.
        pretrained: timm's weights of that name (True), a file of weights, or none (False).
        seed: of drawn weights.
        spec: a run, or what it was before.
    """

    name: str
    backbone: str | None = None
    pretrained: bool | str = False
    seed: int = 0
    spec: Spec | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one of ``KINDS``, without opening it.

        Raises:
            UserError: it is none of them: no such architecture, file or run.
        """
        backbone, equals, weights = text.partition("=")
        if equals and _known(backbone):
            return cls._of(backbone, weights)
        head = text.partition(":")[0]
        if head in (*BEFORE, DRAWN) or Path(text).expanduser().exists():
            spec = Spec.parse(text)
            return cls(spec.name, seed=spec.seed, spec=None if spec.path is None else spec)
        if _known(text):
            return cls(text, text, True)
        advice = did_you_mean(backbone, _names(backbone), otherwise=f"Give {KINDS}")
        raise UserError(f"No candidate {text!r}: neither a run nor a backbone of that name.\n{advice}")

    @classmethod
    def _of(cls, backbone: str, weights: str) -> Self:
        drawn, colon, seed = weights.partition(":")
        if colon and drawn == DRAWN:
            if not seed.isdigit():
                raise UserError(f"{backbone}={weights}: random: takes a seed.\nTry {backbone}=random:1")
            return cls(f"{backbone}={weights}", backbone, seed=int(seed))
        path = Path(weights).expanduser()
        if not path.is_file():
            raise UserError(f"No weights file {weights!r} for {backbone}.\nGive {backbone}=FILE or {backbone}=random:1")
        return cls(f"{backbone}={path.name}", backbone, str(path))


def read_candidates(words: Iterable[str]) -> list[Candidate]:
    """All candidates that were named, each once, with names of their own.

    Args:
        words: as typed; ``@FILE``, or a file ``*.txt``, has one a line, with comments after ``#``.

    Raises:
        UserError: a word is no candidate, or there is none.
    """
    texts = dict.fromkeys(text for word in words for text in _spelt_out(word))
    found: list[Candidate] = []
    for text in texts:
        one = Candidate.parse(text)
        alike = sum(other.name == one.name or other.name.startswith(f"{one.name} #") for other in found)
        name = f"{one.name} #{alike + 1}" if alike else one.name
        found.append(Candidate(name, one.backbone, one.pretrained, one.seed, one.spec))
    if not found:
        raise UserError(f"There is no candidate to rank.\nGive --candidates: {KINDS}")
    return found


def _spelt_out(word: str) -> Iterator[str]:
    if not word.startswith("@") and not word.endswith(".txt"):
        yield word
        return
    path = Path(word.removeprefix("@")).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The list of candidates {path} cannot be read: {error}\nGive a text file, one a line"
        ) from None
    for line in lines:
        if text := line.partition("#")[0].strip():
            yield text


def _known(name: str) -> bool:
    return name.startswith(("hf-hub:", "local-dir:")) or is_model(split_model_name_tag(name)[0])


def _names(name: str) -> list[str]:
    import timm

    return list(timm.list_models(f"{name[:3]}*"))
