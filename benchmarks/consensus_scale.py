"""What consensus costs on large data sets: processor time and memory, one thread.

Prints one table. Annotations, search results and spreads are drawn, some of the
annotations far off; each size runs in a process of its own. Memory is the peak above
the inputs, targets included. Linux only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from semamb_mm.faces.landmarks import PARTS_68, WEAK_PARTS_68
from semamb_mm.functional import consensus_targets

from .timing import cost, table_of_costs

SIZES = ("30000x68", "300000x68", "100000x133")
_ROWS = 10_000  # drawn at a time


def drawn(samples: int, landmarks: int) -> dict[str, Tensor]:
    """Return the arguments of :func:`consensus_targets`, float32."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    shape, kinds = normal(landmarks, 2), normal(8, 2 * landmarks)
    observed, found = torch.empty(2, samples, landmarks, 2).unbind()
    for rows in torch.arange(samples).split(_ROWS):
        place = shape + normal(len(rows), 1, 2)
        alike = (normal(len(rows), 8) @ kinds).view(-1, landmarks, 2)
        found[rows] = place + 0.02 * alike + 0.005 * normal(len(rows), landmarks, 2)
        far = 0.3 * (torch.rand(len(rows), landmarks, 1, generator=generator) < 0.01)
        observed[rows] = place + (0.02 + far) * normal(len(rows), landmarks, 2)
    spread = torch.tensor([0.005**2, 0.005**2, 0]).expand(samples, landmarks, 3)
    counts = torch.full((samples, landmarks), 8)
    return dict(observed=observed, found=found, spread=spread, counts=counts)


def measure(size: str) -> tuple[float, float]:
    """Return seconds of the processor and MiB of one size."""
    torch.set_num_threads(1)
    samples, landmarks = map(int, size.split("x"))
    curves = [list(PARTS_68[part].landmarks) for part in WEAK_PARTS_68]
    options = dict(curves=curves, sliding=curves[:1]) if landmarks >= 68 else {}
    arguments = drawn(samples, landmarks)
    return cost(lambda: consensus_targets(**arguments, **options))


def main(argv=None):
    """Print the table, or the figures of one size."""
    module = "benchmarks.consensus_scale"
    table_of_costs(module, measure, __doc__, "samples x landmarks", SIZES, argv)


if __name__ == "__main__":
    main()
