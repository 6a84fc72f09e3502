"""Tables of what a test found in groups."""

import pytest

from transfusion_cli.run_report.result_tables import ResultTables

ENTRY = {"value": 0.5, "low": 0.25, "high": 0.75}


@pytest.mark.parametrize(("count", "told"), [(4, "ABCD"), (5, "C")])
def test_of_many_labels_groups_are_told_by_those_with_a_gap_beyond_chance(count, told):
    labels = "ABCDE"[:count]
    results = {f"test[sex=F]/sensitivity_at_threshold/{name}": ENTRY for name in labels}
    results |= {"test[sex=F]/auroc": ENTRY, "test[sex=F]/calibrated_calibration_slope": ENTRY}
    for name, p in zip(labels, (0.2, None, 0.01, 0.05, 1), strict=False):
        results[f"gap[sex=F]/sensitivity_at_threshold/{name}"] = {**ENTRY, "p_holm": p}
    titles = [table[0][0] for _, table in ResultTables(results).parts()]
    assert titles == ["auroc", "calibrated slope", *(f"sensitivity at threshold, {name}" for name in told)]
