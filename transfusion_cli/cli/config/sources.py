"""Where the words of a command came from: its arguments and the files they name."""

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Sources:
    """What a command was given, to say where a mistake lies."""

    args: list[str] = field(default_factory=list)
    configs: list[Path] = field(default_factory=list)
    """The files given by ``--config``, in order."""
    files: list[Path] = field(default_factory=list)
    """All files read: those, what they extend, and their sections."""

    def add_file(self, path: Path, content: object) -> None:
        """Remember a config file, and the files that its sections name."""
        self.files.append(path)
        for value in leaves(content):
            section = path.parent / value
            if section.suffix in (".yaml", ".yml") and section.is_file():
                self.files.append(section)

    def locate(self, word: str, value: str = "") -> str:
        """Where a word stands, if possible together with a value: files may override each other.

        Returns:
            `` on the command line``, `` in FILE, line N``, or nothing where the word is found nowhere.
        """
        return (value and self._place(word, value)) or self._place(word)

    def _place(self, *words: str) -> str:
        if all(any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", arg) for arg in self.args) for word in words):
            return " on the command line"
        whole = [re.compile(rf"(?<![\w.]){re.escape(word)}(?![\w])") for word in words]
        for path in reversed(self.files):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if all(word.search(line.partition("#")[0]) for word in whole):
                    return f" in {path}, line {number}"
        return ""


def leaves(content: object) -> list[str]:
    """All strings in nested mappings and lists."""
    match content:
        case str():
            return [content]
        case dict():
            return [leaf for value in content.values() for leaf in leaves(value)]
        case list():
            return [leaf for value in content for leaf in leaves(value)]
        case _:
            return []
