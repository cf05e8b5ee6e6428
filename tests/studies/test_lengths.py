"""studies/lengths.py: the runs, what they are chosen by, the tables."""

import numpy as np
import pytest

from semamb_mm.synthetic.faces import true_keypoints
from studies import alignment, lengths

from .test_alignment import write_finished

HEAVY = ["--cases", "heavy, 250 faces", "--methods", "restart", "perfect targets"]


@pytest.fixture
def runs(tmp_path):
    given = ["--seeds", "0", "1", "--lengths", "0.5", "2", "--work-dir", str(tmp_path)]
    return lengths.plan(lengths.parse_args([*given, *HEAVY]))


def test_lengths_are_those_of_every_method(runs):
    assert len(runs) == 2 * 2 * 3
    for run, (case, length) in runs.items():
        assert case == "heavy, 250 faces" and run.epochs == 80 * length
        assert run.resolved.param_scheduler[1].end == run.epochs
        if run.method == "perfect targets":
            assert run.start == 0.4 * run.epochs
            # What is resumed from has been kept.
            assert run.start % run.after.resolved.default_hooks.checkpoint.interval == 0
        if run.method == "restart":
            assert run.needs.after.epochs == run.epochs
    assert len({run.folder for run in runs}) == len(runs)


def test_what_is_chosen_by_are_other_faces_annotated_as_noisily(runs, monkeypatch):
    monkeypatch.setattr(lengths.cli, "open_pose_model", lambda *args: None)
    monkeypatch.setattr(lengths, "CHOSEN_BY", dict(lengths.CHOSEN_BY, num_samples=2))
    monkeypatch.setattr(lengths.alignment, "measure", lambda run: {lengths.NME: 2.0})

    def predict(model, samples):
        (dataset,) = {id(leaf): leaf for leaf, _ in samples}.values()
        assert dataset.get_data_info(0)["sample_key"] == "synthetic/seed3000/000000"
        truth = np.stack([true_keypoints(3000, index) for _, index in samples])
        return truth, None, None

    monkeypatch.setattr(lengths, "predict", predict)
    found = [lengths.figures_of(run) for run in list(runs)[:3]]
    # The truth is as far from what every method is chosen by.
    assert len({figures[lengths.CHOICE] for figures in found}) == 1
    assert found[0][lengths.CHOICE] > 4 and found[0][lengths.NME] == 2.0


def test_each_method_is_compared_at_its_own_best(runs, monkeypatch):
    # By length: what is chosen by, and the error.
    made = {
        "plain": {0.5: (5.0, 2.0), 2: (6.0, 1.0)},
        "restart": {0.5: (5.0, 2.5), 2: (4.0, 1.5)},
        "perfect targets": {0.5: (3.0, 1.0), 2: (2.0, 1.0)},
    }
    for run in runs:
        write_finished(run, 0.02)
    monkeypatch.setattr(
        lengths,
        "measured",
        lambda run, measure: dict(
            zip((lengths.CHOICE, alignment.NME), made[run.method][runs[run][1]])
        ),
    )
    text = lengths.report(runs)
    case = "heavy, 250 faces"
    assert f"| {case} | plain | 0.5 | 2 | **5.000 ± 0.000** | 2.00 ± 0.00 |" in text
    assert f"| {case} | plain | 2 | 2 | 6.000 ± 0.000 | 1.00 ± 0.00 |" in text
    assert f"| {case} | plain | 0.5, 0.5 | 2.00 ± 0.00 |  |" in text
    wanted = "2, 2 | 1.50 ± 0.00 | -25.0 (-25.0 to -25.0) % |"
    assert f"| {case} | restart | {wanted}" in text
    with pytest.raises(SystemExit, match="no training is finished"):
        lengths.report({})
