"""A folder appears whole or not at all."""

import pytest

from transfusion_cli.errors import Fault
from transfusion_cli.export.whole_folder import whole_folder


def test_it_takes_its_name_at_the_end(tmp_path):
    place = tmp_path / "a" / "timm"
    with whole_folder(place) as folder:
        (folder / "config.json").write_text("{}")
        assert not place.exists()
    assert [path.name for path in place.iterdir()] == ["config.json"]
    assert [path.name for path in place.parent.iterdir()] == ["timm"]


def test_nothing_is_left_of_one_that_failed(tmp_path):
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "export" / "timm") as folder:
        (folder / "config.json").write_text("{}")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_and_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    (tmp_path / ".timm.partial").symlink_to(tmp_path / "mine")
    with whole_folder(tmp_path / "timm") as folder:
        (folder / "new").touch()
    assert (tmp_path / "mine" / "precious").is_file()
    assert [path.name for path in (tmp_path / "timm").iterdir()] == ["new"]


def test_what_is_there_is_never_written_over(tmp_path):
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "mine").touch()
    with pytest.raises(Fault, match="Could not write"), whole_folder(tmp_path / "timm"):
        pass
    assert [path.name for path in (tmp_path / "timm").iterdir()] == ["mine"]
