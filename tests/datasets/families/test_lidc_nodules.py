import numpy as np
import pytest
from support.lidc import NON_NODULE, SHAPE, SMALL, SPACING, annotation, ball, message, outlines, place

from transfusion_cli.datasets.families.lidc_nodules import cluster, enclosed
from transfusion_cli.datasets.families.lidc_xml import read_annotations
from transfusion_cli.errors import UserError

Z = np.array([place(z) for z in range(SHAPE[0])])


def drawn(tmp_path, *sessions):
    path = tmp_path / "scan.xml"
    path.write_text(message("1.2.3", list(sessions)))
    series, annotations = read_annotations(path)
    assert series == "1.2.3"
    return annotations


def nodules_of(annotations, thickness=SPACING[2]):
    return cluster(annotations, SPACING, thickness)


def mask_of(nodule, level=0.5):
    return nodule.agreement(Z, (0, 0), SHAPE[1:]) >= level


def test_what_is_inside_is_what_was_outlined(tmp_path):
    mask = ball([20, 20, 8], 6)
    [nodule] = nodules_of(drawn(tmp_path, annotation(mask, 4)))
    np.testing.assert_array_equal(mask_of(nodule), mask)
    np.testing.assert_allclose(nodule.centre, [20, 20, place(8)], atol=0.01)
    assert nodule.diameter == pytest.approx(12 + 2 * 0.75, abs=0.8)  # the outline lies outside


def test_a_part_of_the_slices_and_a_window(tmp_path):
    mask = ball([20, 20, 8], 6)
    [nodule] = nodules_of(drawn(tmp_path, annotation(mask, 4)))
    np.testing.assert_array_equal(nodule.agreement(Z[7:10], (18, 15), (9, 12)) > 0, mask[7:10, 18:27, 15:27])
    beyond = nodule.agreement(Z[12:], (-5, -5), (SHAPE[1] + 9, SHAPE[2] + 9))
    assert not beyond.any()


def test_holes_lose_their_inside_and_keep_their_outline(tmp_path):
    mask, hole = ball([20, 20, 8], 8), ball([20, 20, 8], 3)
    [nodule] = nodules_of(drawn(tmp_path, annotation(mask, 4, hole)))
    np.testing.assert_array_equal(mask_of(nodule), mask & ~hole)


def test_small_nodules_and_other_findings_are_left_out(tmp_path):
    assert drawn(tmp_path, SMALL + NON_NODULE, SMALL) == []
    assert nodules_of([]) == []
    [one] = drawn(tmp_path, SMALL + annotation(ball([20, 20, 8], 4), 2), NON_NODULE)
    assert (one.reader, one.malignancy) == (0, 2)


def test_readers_meet_where_their_outlines_touch(tmp_path):
    here, beside, far = ball([12, 20, 8], 4), ball([14, 21, 8], 4), ball([35, 20, 8], 4)
    found = nodules_of(
        drawn(tmp_path, annotation(here, 5) + annotation(far, 1), annotation(beside, 4), annotation(far, 2))
    )
    assert sorted((nodule.readers, [a.malignancy for a in nodule.annotations]) for nodule in found) == [
        (2, [1, 2]),
        (2, [5, 4]),
    ]


def test_chains_of_more_than_the_readers_are_parted(tmp_path):
    left, right = ball([10, 20, 8], 4), ball([34, 20, 8], 4)
    sessions = [annotation(left, 2) + annotation(right, 5)] * 4
    apart = nodules_of(drawn(tmp_path, *sessions), thickness=50.0)  # all eight lie that near
    assert [(nodule.readers, len(nodule.annotations)) for nodule in apart] == [(4, 4), (4, 4)]
    same = [annotation(left, 2) + annotation(left, 5)] * 3
    [crowd] = nodules_of(drawn(tmp_path, *same))  # nothing parts what lies at one place
    assert (crowd.readers, len(crowd.annotations)) == (3, 6)


def test_agreement_is_by_readers(tmp_path):
    large, small = ball([20, 20, 8], 8), ball([20, 20, 8], 5)
    [two] = nodules_of(drawn(tmp_path, annotation(large, 3), annotation(small, 3)), 5.0)
    np.testing.assert_array_equal(mask_of(two), large)  # half of two is the union
    [three] = nodules_of(drawn(tmp_path, annotation(large, 3), annotation(small, 3), annotation(small, 3)), 5.0)
    np.testing.assert_array_equal(mask_of(three), small)
    np.testing.assert_array_equal(mask_of(three, 0.3), large)


@pytest.mark.parametrize(
    ("ratings", "median", "mean", "wide"),
    [
        ([4, 5, 4, 5], True, True, True),
        ([1, 2, 1, 2], False, False, False),
        ([3, 3, 3, 3], None, None, None),
        ([3, 3, 3, 4], None, True, None),
        ([3, 3, 4, 4], True, True, True),
        ([2, 2, 3, 3], False, False, False),
        ([2, 3, 3], None, False, None),
        ([1, 3, 3, 5], None, None, None),
    ],
)
def test_rules(tmp_path, ratings, median, mean, wide):
    mask = ball([20, 20, 8], 4)
    [nodule] = nodules_of(drawn(tmp_path, *[annotation(mask, rating) for rating in ratings]))
    assert [nodule.malignant(rule) for rule in ("median", "mean", "mean_wide")] == [median, mean, wide]


def test_an_outline_alone_encloses_nothing():
    assert not enclosed(np.array([[3, 3], [4, 3], [4, 4], [3, 4]]), (0, 0), (8, 8)).any()
    assert enclosed(np.array([[2, 2], [4, 2], [4, 4], [2, 4]]), (0, 0), (8, 8)).sum() == 1


def test_other_files(tmp_path):
    path = tmp_path / "x.xml"
    path.write_text('<IdriReadMessage xmlns="http://www.nih.gov" />')
    assert read_annotations(path) is None
    whole = message("1.2.3", [annotation(ball([20, 20, 8], 4), 4)])
    for text, said in (
        (whole[:-200], "Cannot read the annotations"),
        (whole.replace("<imageZposition>", "<imageZ>").replace("</imageZposition>", "</imageZ>"), "no imageZposition"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + whole[whole.index("<Lidc") :], "entities"),
        (message("", []), "no SeriesInstanceUid"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=said) as caught:
            read_annotations(path)
        assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) <= 3


def test_outlines_of_the_layout_are_chains():
    assert outlines(ball([20, 20, 8], 4)).count("<roi>") == 5
