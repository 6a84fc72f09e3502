import numpy as np
import pytest

from transfusion_cli.data.protocols import check_literal, deal_images, repeat, thin_out
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError


def table(n=100):
    names = as_text(f"i{i}" for i in range(n))
    patients = as_text(f"p{i // 10}" for i in range(n))
    split = np.full(n, "train", dtype="<U7")
    split[:10] = "test"
    return SampleTable(names, np.arange(n) % 3, split, patients, names, domains=patients)


def test_images_are_dealt_out_whatever_their_patient():
    dealt = table()
    deal_images(dealt, {"val": 0.2, "test": 0.1}, seed=0)
    assert [(dealt.split == s).sum() for s in ("train", "val", "test")] == [63, 18, 19]
    assert set(dealt.patients[dealt.rows("val")]) & set(dealt.patients[dealt.rows("train")])
    again, other = table(), table()
    deal_images(again, {"val": 0.2, "test": 0.1}, seed=0)
    deal_images(other, {"val": 0.2, "test": 0.1}, seed=1)
    assert (again.split == dealt.split).all() and (other.split != dealt.split).any()


def test_thinning_out_keeps_the_other_splits():
    thin = table()
    thin_out(thin, {"train": 30}, seed=0)
    assert [(thin.split == s).sum() for s in ("train", "test", "")] == [30, 10, 60]


def test_repeated_rows_are_copies_under_names_of_their_own():
    full = table()
    doubled = repeat(full, np.array([12, 40]), "val")
    assert doubled.ids[-2:].tolist() == ["i12#val", "i40#val"]
    assert doubled.paths[-2:].tolist() == ["i12", "i40"]
    assert doubled.domains[-2:].tolist() == ["p1", "p4"] and doubled.exams is None
    assert doubled.targets[-2:].tolist() == [0, 1] and doubled.split[-2:].tolist() == ["val", "val"]
    assert len(full) == 100


def test_only_one_protocol_has_leaks_to_repeat():
    check_literal("official", False)
    check_literal("partial_transfusion", True)
    with pytest.raises(UserError, match=r"goes with --data.protocol partial_transfusion"):
        check_literal("official", True)
