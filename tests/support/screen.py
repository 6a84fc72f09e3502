"""What a terminal shows in the end, of all that was written to it."""

import re


def screen(text: str) -> list[str]:
    """The lines on a terminal that is wide and high enough."""
    lines: dict[int, list[str]] = {}
    row = column = 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|.", text, re.DOTALL):
        if token == "\n":
            row += 1
        elif token == "\r":
            column = 0
        elif token.startswith("\x1b["):
            row -= int(token[2:-1] or 1) if token[-1] == "A" else 0
        else:
            line = lines.setdefault(row, [])
            line += " " * (column + 1 - len(line))
            line[column] = token
            column += 1
    return ["".join(lines.get(row, [])).rstrip() for row in range(max(lines, default=0) + 1)]
