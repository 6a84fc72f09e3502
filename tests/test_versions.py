"""Files that are written again."""

from transfusion_cli.versions import free_path, newest, versions


def test_they_count_up_and_the_newest_is_known_by_its_number(tmp_path):
    path = tmp_path / "table.csv"
    assert newest(path) == path and versions(path) == []
    for _ in range(11):
        free_path(path).touch()
    assert newest(path).name == "table_10.csv" and len(versions(path)) == 11


def test_a_link_that_leads_nowhere_has_its_name(tmp_path):
    (tmp_path / "table.csv").symlink_to(tmp_path / "nowhere")
    assert free_path(tmp_path / "table.csv").name == "table_1.csv"
