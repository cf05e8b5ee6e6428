"""studies/search_defaults.py: its trainings' configs, and its table of a few faces."""

import sys

import torch
from mmengine.config import Config
from mmpose.apis import init_model

from studies import search_defaults

SETTINGS = {
    name: search_defaults.SETTINGS[name]
    for name in (
        search_defaults.default_of("alone"),
        search_defaults.default_of("consensus"),
        search_defaults.OLD,
    )
}


def arguments(monkeypatch, folder, *more):
    given = ["--work-dir", str(folder), "--seeds", "3", "--faces", "6", *more]
    monkeypatch.setattr(sys, "argv", ["search_defaults", *given])
    return search_defaults.parse_args()


def test_each_resolution_begins_with_anothers_weights(monkeypatch, tmp_path):
    runs = search_defaults.plan(arguments(monkeypatch, tmp_path, "--first", "a.pth"))
    cells = {run: int(run.names[0].split()[0]) for run in runs}
    assert [*cells.values()] == [48, 64, 96, 128, 256]
    assert [cells.get(run.after) for run in runs] == [None, 48, 48, 96, 128]
    for run in runs:
        run.resolved.dump(tmp_path / "config.py")
        config = Config.fromfile(tmp_path / "config.py")
        encoder = config.train_dataloader.dataset.pipeline[-2].encoder
        assert encoder == config.model.head.decoder
        assert encoder.heatmap_size == (cells[run], cells[run])
        begins = "a.pth" if run.after is None else str(run.after.checkpoint)
        assert config.load_from == begins


def test_without_a_first_checkpoint_one_is_trained(monkeypatch, tmp_path):
    runs = search_defaults.plan(arguments(monkeypatch, tmp_path, "--cells", "48"))
    (run,) = runs
    assert run.after.names == ("first",) and run.after.epochs == 20
    assert run.resolved.load_from == str(run.after.checkpoint)


def test_the_defaults_are_among_the_settings():
    """So that nothing found by hand can be better by more than it says."""
    for method in search_defaults.METHODS:
        given = SETTINGS[search_defaults.default_of(method)]
        assert given["likelihood"] == search_defaults.DEFAULT_SEARCH["likelihood"]


def test_every_method_and_resolution_has_its_figures(monkeypatch, tmp_path, capsys):
    more = ("--cells", "48", "--views", "1", "--first", "a.pth", "--report")
    (run,) = search_defaults.plan(arguments(monkeypatch, tmp_path, *more))
    run.folder.mkdir(parents=True)
    model = init_model(run.resolved, device="cpu")
    torch.save(model.state_dict(), run.checkpoint)
    monkeypatch.setattr(search_defaults, "SETTINGS", SETTINGS)
    search_defaults.main()
    row = (tmp_path / "table.md").read_text().splitlines()[2]
    assert row in capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "48" and 0 < float(cells[1]) < 10
    for first in (2, 7):
        default, best, which, worse, old = cells[first : first + 5]
        assert which in SETTINGS and worse.endswith("%")
        assert float(best) == min(float(v) for v in (default, best, old))
