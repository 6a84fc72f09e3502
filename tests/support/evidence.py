"""Scores and outcomes of sources on targets, drawn."""

import numpy as np
import pandas as pd

SOURCES, TARGETS = tuple("abcde"), ("bones", "cells", "lungs", "veins")


def long(table, **columns):
    """``source``, ``target``, ``value`` of a table of targets by sources, and further columns; a blank cell stays."""
    frame = table.rename_axis(index="target", columns=None).reset_index().melt("target", var_name="source")
    return frame.assign(**columns)


def drawn(seed=0, sources=SOURCES, targets=TARGETS, steady=1.0):
    """A table of targets by sources, the more alike on all targets the more steady."""
    rng = np.random.default_rng(seed)
    values = steady * np.linspace(0, 0.2, len(sources)) + 0.05 * rng.random((len(targets), len(sources)))
    return pd.DataFrame(values, index=list(targets), columns=list(sources))


def table(path, outcomes, choosing=None, outcome="fine_tuned_auc", **scores):
    """Write a table of the user's, tables of scores by the name of their measure; gives the path."""
    frames = [long(one, measure=name) for name, one in {outcome: outcomes, **scores}.items()]
    frame = pd.concat(frames)
    if choosing is not None:
        frame.insert(0, "choosing", choosing)
    frame.to_csv(path, index=False)
    return path
