"""studies/spread_on_faces.py with a few faces and epochs."""

from studies import spread_on_faces


def test_a_row_for_every_training(capsys):
    options = ["--noise", "none", "--seeds", "0", "--num-faces", "6"]
    spread_on_faces.main([*options, "--epochs", "2", "--start", "0"])
    title, row = capsys.readouterr().out.splitlines()[-2:]
    assert title.split()[:4] == ["noise", "seed", "annotations", "found"]
    annotated, found, *targets = map(float, row.split()[2:])
    # Six faces: nothing can be told apart, and annotations are perfect.
    assert annotated == 0 and found > 0 and len(targets) == 5
    assert max(targets) < 0.2 * found
