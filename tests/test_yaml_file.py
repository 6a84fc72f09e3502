"""YAML of unknown origin."""

import pytest

from transfusion_cli.errors import UserError
from transfusion_cli.yaml_file import MOST, read_yaml


def written(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return path


def test_aliases_as_people_use_them(tmp_path):
    assert read_yaml(written(tmp_path, "a: &it {b: [1, 2]}\nc: *it")) == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "text",
    [BOMB, "a: &a [*a]", "a: &a {b: *a}", "a: &a [*a, *a]", f"[{', '.join('1' for _ in range(MOST + 1))}]"],
    ids=["of aliases", "a list in itself", "a mapping in itself", "twice in itself", "long"],
)
def test_a_bomb(tmp_path, text):
    with pytest.raises(UserError, match="stands for more than 100,000 values"):
        read_yaml(written(tmp_path, text))


@pytest.mark.parametrize("text", ["a: [", "[" * 20_000, "a: !!python/object/apply:os.system [ls]", "\xff"])
def test_no_yaml(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="not valid YAML"):
        read_yaml(path)
