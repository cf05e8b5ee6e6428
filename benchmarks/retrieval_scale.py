"""What retrieval scores cost on large test sets: processor time and memory, one thread.

Prints one table. A set is searched in itself, the mean average precision included.
Embeddings are drawn around a centre for each class; each size runs in a process of its
own. Memory is the peak above the embeddings. Linux only.
"""

from __future__ import annotations

import torch

from semamb_mm.metric_learning import retrieval_scores

from .timing import cost, table_of_costs

# Stanford Online Products has 60,502 test images, 5.3 of a product.
SIZES = ("60000x512/5", "20000x512/400")


def measure(size: str) -> tuple[float, float]:
    """Return seconds of the processor and MiB of one size."""
    torch.set_num_threads(1)
    shape, each = size.split("/")
    images, channels = map(int, shape.split("x"))
    labels = torch.arange(images) // int(each)
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(int(labels[-1]) + 1, channels, generator=generator)
    embeddings = torch.randn(images, channels, generator=generator)
    embeddings.mul_(1.5).add_(centres[labels])
    return cost(lambda: retrieval_scores(embeddings, labels, topk=(1, 10, 100)))


def main(argv=None):
    """Print the table, or the figures of one size."""
    module = "benchmarks.retrieval_scale"
    table_of_costs(module, measure, __doc__, "images x D / in a class", SIZES, argv)


if __name__ == "__main__":
    main()
