from datetime import timedelta

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

from semamb_mm.pose.latent_targets import exchange
from semamb_mm.pose.latent_targets.exchange import Ranks, pack_rows, unpack_rows
from semamb_mm.pose.latent_targets.search import SearchResult
from tests.pose.latent_targets.test_store import make_store

LANDMARKS = 3
# Rank 2 is a machine of its own. Row 1 has two views; its first one is also padding.
ROWS = ([4, 1, 0], [1, 3], [1])
VIEWS = ([0, 1, 0], [0, 0], [0])


def results(rows, views):
    """What tells where it was found, in float32."""
    generator = torch.Generator().manual_seed(sum(rows))
    shape = (len(rows), LANDMARKS)
    return SearchResult(
        indices=torch.tensor(rows),
        found=torch.tensor(rows)[:, None, None] + torch.rand(*shape, 2),
        energies=torch.rand(shape, generator=generator).half(),
        searched=torch.rand(shape, generator=generator) > 0.3,
        at_edge=torch.rand(shape, generator=generator) > 0.5,
        views=torch.tensor(views),
    )


def test_rows_come_back_from_bytes():
    sent = results([4, 1], [0, 2])
    rows = pack_rows(sent)
    assert rows.dtype == torch.uint8 and rows.shape == (2, 16 + 11 * LANDMARKS)
    got = unpack_rows(rows, LANDMARKS)
    for name, value in vars(sent).items():
        assert torch.equal(getattr(got, name), value), name


def test_what_is_not_finite_stays_so():
    sent = results([0], [0])
    sent.energies[0] = torch.tensor([float("inf"), float("nan"), 1.0])
    got = unpack_rows(pack_rows(sent), LANDMARKS)
    assert torch.isfinite(got.energies).tolist() == [[False, False, True]]


def test_one_process_hands_its_results_on_in_rounds():
    parts = list(Ranks().gather(results([4, 1, 1, 1], [0, 1, 0, 1])))
    assert [p.indices.tolist() for p in parts] == [[1, 4], [1]]
    assert [p.views.tolist() for p in parts] == [[0, 0], [1]]
    assert not list(Ranks().gather(None))


def on_rank(rank, world, path):
    """What each of three processes does; an assertion that fails ends it."""
    store = f"file://{path}"
    time = timedelta(seconds=60)
    dist.init_process_group(
        "gloo", init_method=store, rank=rank, world_size=world, timeout=time
    )
    exchange._machine = lambda: str(rank // 2)
    ranks = Ranks()
    assert (ranks.first, ranks.leads) == (rank == 0, rank != 1)
    mine = make_store(num=5, landmarks=LANDMARKS, named=True) if ranks.leads else None
    shared = ranks.share(mine.shared if mine else None)
    assert len(shared) == 5 and shared.path is None
    parts = list(ranks.gather(results(ROWS[rank], VIEWS[rank])))
    changed = None
    if ranks.first:
        assert [p.indices.tolist() for p in parts] == [[0, 4, 1, 3], [1]]
        assert [p.views.tolist() for p in parts] == [[0] * 4, [1]]
        assert (parts[0].found.floor()[..., 0] == parts[0].indices[:, None]).all()
        changed = torch.tensor([4, 2])
        shared.targets[changed] = torch.tensor([44.0, 22.0])[:, None, None]
    else:
        assert not parts
    if ranks.first:
        shared.suspects[3, 1] = True
    ranks.spread_suspects(shared)
    assert shared.suspects.nonzero().tolist() == [[3, 1]]
    ranks.spread(shared, changed)
    assert shared.targets[:, 0, 0].tolist() == [0, 6, 22, 18, 44]
    # Somebody has found nothing, and then nobody has.
    some = results([2], [0]) if rank == 2 else None
    parts = list(ranks.gather(some))
    assert [p.indices.tolist() for p in parts] == ([[2]] if rank == 0 else [])
    assert not list(ranks.gather(None))
    ranks.spread(shared, torch.zeros(0, dtype=torch.int64) if rank == 0 else None)
    dist.destroy_process_group()


def test_three_processes_on_two_machines(tmp_path):
    arguments = (len(ROWS), tmp_path / "meeting")
    processes.start_processes(on_rank, arguments, len(ROWS), start_method="fork")
