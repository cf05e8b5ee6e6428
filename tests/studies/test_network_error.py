"""studies/network_error.py: what is drawn, and the tables."""

import pytest
import torch

from studies import network_error


def test_errors_are_as_large_as_they_are_said_to_be():
    regime = (0.5, 0.5, 1.0)
    observed, found, told = network_error.simulate(2.0, regime, noise=0.5)
    assert observed.std() == pytest.approx(0.5, rel=0.02)
    variance = 1 + 4 * 0.5 + (4 * 0.5 + 1) / 8
    assert found.var() == pytest.approx(variance, rel=0.05)
    assert told["spread"][..., :2].mean() == pytest.approx(4 * 0.5 + 1, rel=0.02)
    assert told["spread"][..., 2].mean() == pytest.approx(0, abs=0.05)
    everything, own = told["scatter"][..., :2].mean((0, 2)).tolist()
    assert everything == pytest.approx(3, rel=0.05)
    # What 19 others leave unknown of what all share stays.
    assert own == pytest.approx(2 + 1 / (1 + 19 / 2), rel=0.05)


def test_the_tables(capsys):
    network_error.main(["--samples", "40", "--landmarks", "5", "--seeds", "0"])
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line[:10] in {r[:10] for r in _REGIMES}]
    assert len(rows) == 2 * len(_REGIMES) * len(network_error.OWN)
    figures = torch.tensor([[float(v) for v in row[51:].split()] for row in rows])
    assert figures.shape == (len(rows), 3) and figures.isfinite().all()


_REGIMES = network_error.REGIMES
