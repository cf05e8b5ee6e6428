"""The model that consensus is: sums over samples, solved, applied sample by sample.

Sums can be taken in chunks and on several machines, and added up. See
:func:`semamb_mm.functional.consensus_targets` for the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import first_not_finite, which_count
from .curves import from_axes, landmark_axes, to_axes

CHUNK = 4096  # samples at a time: their differences stay in the processor's cache
EVIDENCE = ("landmarks", "views")
_STEPS = 20  # of a sample's own clipping, at most
_STEP = 1e-3  # of a coordinate's deviation; a smaller one is none
_OTHER = 0.05  # of an annotation's deviation; a smaller difference is none
_BATCH = 64  # samples whose own equations are solved at a time


@dataclass(frozen=True)
class ConsensusOptions:
    """Options of :func:`semamb_mm.functional.consensus_targets`, checked.

    Attributes:
        fewest: Samples that show fewer landmarks keep their annotations and count
            nowhere: what they show does not tell how large they are.
    """

    curves: Sequence[Sequence[int]] = ()
    sliding: Sequence[Sequence[int]] = ()
    noise_share: float = 0.9
    slide_share: float = 0.3
    clip: float = 3.0
    shrinkage: float | None = None
    network_share: float = 1.0
    scatter: Tensor | None = None
    fewest: int = 4
    evidence: str = "landmarks"
    view_covariance: Tensor | None = None

    def __post_init__(self) -> None:
        if self.evidence not in EVIDENCE:
            raise ValueError(f"evidence must be in {EVIDENCE}, got {self.evidence!r}")
        if not 0 <= self.noise_share <= 1:
            raise ValueError(f"noise_share must be in [0, 1], got {self.noise_share}")
        if not 0 <= self.slide_share < 1:
            raise ValueError(f"slide_share must be in [0, 1), got {self.slide_share}")
        if not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}")
        if self.shrinkage is not None and not 0 < self.shrinkage <= 1:
            raise ValueError(f"shrinkage must be in (0, 1], got {self.shrinkage}")
        if not self.network_share >= 0:
            raise ValueError(
                f"network_share must not be negative, got {self.network_share}"
            )
        curves = [list(curve) for curve in self.curves]
        for curve in self.sliding:
            if list(curve) not in curves:
                raise ValueError(f"sliding curve {list(curve)} is not among the curves")


@dataclass(frozen=True)
class ConsensusRows:
    """Some samples; see :func:`semamb_mm.functional.consensus_targets`.

    Attributes:
        observed: ``(n, K, 2)``.
        found: ``(n, K, 2)``.
        visible: ``(n, K)`` or None.
        spread: ``(n, K, 3)`` or None.
        counts: ``(n, K)`` or None.
        noise: ``(n, K, 3)`` covariance xx, yy, xy of the annotations' errors, if
            known, as of several annotators; or None.
    """

    observed: Tensor
    found: Tensor
    visible: Tensor | None = None
    spread: Tensor | None = None
    counts: Tensor | None = None
    noise: Tensor | None = None

    def take(self, rows: Tensor | slice) -> ConsensusRows:
        """Return some of these samples."""
        others = (self.visible, self.spread, self.counts, self.noise)
        return ConsensusRows(
            self.observed[rows],
            self.found[rows],
            *(part if part is None else part[rows] for part in others),
        )

    def check(self) -> None:
        """Refuse shapes that disagree, and visible landmarks that are not finite."""
        shape = tuple(self.observed.shape)
        if len(shape) != 3 or shape[-1] != 2:
            raise ValueError(f"observed must be (N, K, 2), got {shape}")
        if self.found.shape != self.observed.shape:
            raise ValueError(
                f"found must be {shape} like observed, got {tuple(self.found.shape)}"
            )
        for name, tensor, expected in (
            ("counts", self.counts, shape[:2]),
            ("spread", self.spread, (*shape[:2], 3)),
        ):
            if tensor is not None and tuple(tensor.shape) != expected:
                raise ValueError(
                    f"{name} must be {expected}, got {tuple(tensor.shape)}"
                )
        seen = self.seen()
        for name, points in (("observed", self.observed), ("found", self.found)):
            wrong = first_not_finite(points, seen)
            if wrong is not None:
                raise ValueError(
                    f"sample {wrong[0]}, landmark {wrong[1]}: {name} "
                    f"{points[wrong].tolist()} must be finite where visible"
                )

    def seen(self) -> Tensor:
        """Return which landmarks are visible and searched, ``(n, K)`` bool."""
        seen = which_count(self.observed, self.visible)
        return seen if self.counts is None else seen & (self.counts > 0)


class Differences(NamedTuple):
    """Differences ``o - p`` of some samples, in each landmark's own axes.

    Attributes:
        values: ``(n, 2 K)``, 0 where not counted.
        counted: ``(n, K)`` bool; None where all are.
        along: ``(n, K, 2)`` unit vectors; across is a quarter turn on.
        own: ``(n, 2 K)`` variance of the network's own error, at most; None without
            spread.
        known: ``(n, K)`` bool, where ``own`` is.
        noise: ``(n, 2 K)`` variance of the annotation's error; None where not known.
    """

    values: Tensor
    counted: Tensor | None
    along: Tensor
    own: Tensor | None
    known: Tensor | None
    noise: Tensor | None = None


def differences(rows: ConsensusRows, options: ConsensusOptions) -> Differences:
    """Return the samples' differences between annotation and search."""
    dtype = torch.promote_types(rows.observed.dtype, torch.float32)
    seen = rows.seen()
    enough = seen.sum(1) >= options.fewest
    seen &= enough[:, None]
    counted = None if seen.all() else seen
    o, p = rows.observed.to(dtype), rows.found.to(dtype)
    if counted is not None:
        o, p = (torch.where(seen[..., None], t, 0) for t in (o, p))
    curves = options.curves if options.evidence == "landmarks" else ()
    along = landmark_axes(p, curves, seen)
    values, noise = to_axes(o - p, along).flatten(1), None
    if rows.noise is not None:
        noise = _variances(rows.noise.to(along), along).flatten(1)
    if rows.spread is None:
        return Differences(values, counted, along, None, None, noise)
    own, known = _own_errors(rows, along, seen, options)
    return Differences(values, counted, along, own, known, noise)


def _own_errors(
    rows: ConsensusRows, along: Tensor, seen: Tensor, options: ConsensusOptions
) -> tuple[Tensor, Tensor]:
    """Return the most that the network errs by itself: variances, and where known."""
    spread = rows.spread.to(along)  # type: ignore[union-attr]
    known = seen & torch.isfinite(spread).all(-1)
    if rows.counts is None:
        views = torch.full_like(spread[..., 0], 2)
    else:
        known &= rows.counts > 1
        views = rows.counts.to(spread).clamp(min=1)
    spread = torch.where(known[..., None], spread, 0)
    own = _variances(spread, along) * (options.network_share + 1 / views)[..., None]
    if options.scatter is not None and options.evidence == "landmarks":
        everything, unshared = options.scatter.to(along).unbind(1)
        all_of_it = _variances(everything, along)
        share = _variances(unshared, along) / all_of_it.clamp(min=1e-30)
        own = own * torch.where(all_of_it > 0, share, 1).clamp(0, 1)
    return own.flatten(1), known


def _variances(covariance: Tensor, along: Tensor) -> Tensor:
    """Return variances ``(n, K, 2)``, along and across, of ``xx, yy, xy``."""
    (xx, yy, xy), (x, y) = covariance.unbind(-1), along.unbind(-1)
    first = x * x * xx + y * y * yy + 2 * x * y * xy
    return torch.stack((first, xx + yy - first), -1).clamp(min=0)


@dataclass(frozen=True)
class ConsensusModel:
    """What one sample's annotations and search results say, given all others'.

    ``2 K`` coordinates stand landmark by landmark, along and across. Everything is
    in units of the rows' positions, and small: it can be sent or kept.

    Attributes:
        options: See :class:`ConsensusOptions`.
        median: ``(2 K,)`` of the differences, where clipping begins.
        first_limit: ``(2 K,)``, how far from it.
        centre: ``(2 K,)``, the mean difference.
        ratio: ``(2 K, 2 K)``; a centred difference times it is what the other
            coordinates do not explain.
        limit: ``(2 K,)``, how far from what they explain a difference is usual.
        pull: ``(2 K, 2 K)``; a centred, usual difference times it is the move.
        gross: ``(2 K,)``, which share of what is beyond the limit is taken back.
        own: ``(2 K,)`` variance of the network's own error, at most.
        unexplained: ``(2 K,)`` variance that the others do not explain.
        annotators: ``(K,)`` estimated variance of an annotation, along and across
            together, without the gross errors.
        network: ``(K,)`` estimated variance of the search around it.
        shrinkage: How far correlations were shrunk.
        step: Of the search for what is usual, so that it ends.
        known: ``(2 K,)`` mean variance of annotations, where each sample's is known.
        errors: ``(2, 2 K, 2 K)`` covariances of annotations and of the network, of
            which ``pull`` is made, where each sample's is known.
    """

    options: ConsensusOptions
    median: Tensor
    first_limit: Tensor
    centre: Tensor
    ratio: Tensor
    limit: Tensor
    pull: Tensor
    gross: Tensor
    own: Tensor
    unexplained: Tensor
    annotators: Tensor
    network: Tensor
    shrinkage: float
    step: float = 1.0
    known: Tensor | None = None
    errors: Tensor | None = None

    @classmethod
    def start(cls, part: Differences, options: ConsensusOptions) -> ConsensusModel:
        """Return the model to begin with, of robust medians and deviations.

        Args:
            part: Of enough samples to know the medians.
            options: See :class:`ConsensusOptions`.
        """
        known = part.values
        if part.counted is not None:
            hidden = ~part.counted.repeat_interleave(2, dim=1)
            known = known.masked_fill(hidden, torch.nan)
        median = known.nanmedian(0).values.nan_to_num()
        deviation = 1.4826 * (known - median).abs().nanmedian(0).values.nan_to_num()
        limit = torch.where(deviation > 0, options.clip * deviation, torch.inf)
        median, limit = median.double(), limit.double()
        alone, nothing = torch.eye(len(median)).to(median), torch.zeros_like(median)
        return cls(
            *(options, median, limit),
            centre=median,
            ratio=alone,
            limit=limit,
            pull=torch.zeros_like(alone),
            gross=torch.ones_like(nothing),
            own=nothing,
            unexplained=nothing,
            annotators=nothing[::2],
            network=nothing[::2],
            shrinkage=1.0,
        )

    def usual(self, part: Differences) -> Tensor:
        """Return the differences ``(n, 2 K)`` without what is gross in them.

        They minimise ``z' P z / 2 + sum_j |clip sqrt(P_jj) (d_j - z_j)|`` with ``P``
        the covariance's inverse, as the lasso does; by proximal steps.
        """
        median, limit = (t.to(part.values) for t in (self.median, self.first_limit))
        usual = torch.clamp(part.values, median - limit, median + limit)
        tolerance = _STEP / self.options.clip * self.limit.to(usual)
        rows = torch.arange(len(usual), device=usual.device)
        for _ in range(_STEPS):
            here, before = _of(part, rows), usual[rows]
            usual[rows] = now = self.clipped(here, before, self.step)
            moved = _without((now - before).abs(), here.counted)
            rows = rows[(moved > tolerance).any(1)]
            if not len(rows):
                break
        return usual

    def clipped(self, part: Differences, usual: Tensor, step: float = 1.0) -> Tensor:
        """Return the differences, within the limit of what usual ones explain.

        Args:
            part: The differences.
            usual: ``(n, 2 K)``.
            step: How far to go there, in (0, 1].
        """
        centre = self.centre.to(usual)
        ratio, limit = step * self.ratio.to(usual), step * self.limit.to(usual)
        centred = _without(usual - centre, part.counted)
        explained = centre + centred - centred @ ratio
        return torch.clamp(part.values, explained - limit, explained + limit)

    def apply(self, rows: ConsensusRows) -> Tensor:
        """Return the targets ``(n, K, 2)`` of some samples."""
        part = differences(rows, self.options)
        return rows.observed + self.moves(part, self.usual(part)).to(rows.observed)

    def moves(self, part: Differences, usual: Tensor) -> Tensor:
        """Return how far annotations move, ``(n, K, 2)``."""
        beyond = self.gross.to(usual) * (usual - part.values)
        centred = _without(usual - self.centre.to(usual), part.counted)
        moves = self._pulled(centred, part.noise)
        if part.own is not None:
            # As far as the sample's own views scatter, the network may be the one.
            doubt = self.options.clip * part.own.sqrt()
            beyond = beyond.sign() * (beyond.abs() - doubt).clamp(min=0)
            more = (part.own - self.own.to(usual)).clamp(min=0)
            usually = self.unexplained.to(usual).clamp(min=1e-30)
            moves = moves * usually / (usually + more)
        moves = from_axes((moves + beyond).view_as(part.along), part.along)
        if part.counted is not None:
            moves = torch.where(part.counted[..., None], moves, 0)
        return moves

    def _pulled(self, centred: Tensor, noise: Tensor | None) -> Tensor:
        """Return the moves of usual differences ``(n, 2 K)``.

        Where a sample's annotations are more uncertain than others', as fewer people
        made them, ``E`` is that much larger there.
        """
        moves = centred @ self.pull.to(centred)
        if noise is None or self.known is None or self.errors is None:
            return moves
        ratio = noise.to(self.known) / self.known.clamp(min=1e-30)
        ratio = torch.where(self.known > 0, ratio, 1).sqrt()
        other = ((ratio - 1).abs() > _OTHER).any(1).nonzero()[:, 0]
        annotators, network = self.errors
        for rows in other.split(_BATCH):
            scale = ratio[rows]
            own = annotators * scale[:, :, None] * scale[:, None]
            pulled = torch.linalg.solve(network + own, centred[rows, :, None].to(own))
            moves[rows] = -(own @ pulled)[..., 0].to(moves)
        return moves


def _of(part: Differences, rows: Tensor) -> Differences:
    """Return values and what is counted of some rows."""
    counted = None if part.counted is None else part.counted[rows]
    return part._replace(values=part.values[rows], counted=counted)


def _without(values: Tensor, counted: Tensor | None) -> Tensor:
    """Return values ``(n, 2 K)``, 0 where they do not count."""
    if counted is None:
        return values
    return values * counted.repeat_interleave(2, dim=1)


class _Explained(NamedTuple):
    """What of each of ``2 K`` coordinates the others explain.

    Attributes:
        number: ``(2 K,)`` of samples that count.
        mean: ``(2 K,)``, from where the sums were taken.
        covariance: ``(1 - a) C + a diag(C)``; 1 on the diagonal of coordinates
            without any difference, so that they stay as they are.
        precision: Its inverse.
        unexplained: ``(2 K,)`` variance that the others do not explain.
        missed: ``(2 K,)`` part of it that they would explain without shrinking, at
            most.
        freedom: How many samples explaining has used up.
        still: ``(2 K,)``, coordinates without any difference.
        shrinkage: ``a``.
    """

    number: Tensor
    mean: Tensor
    covariance: Tensor
    precision: Tensor
    unexplained: Tensor
    missed: Tensor
    freedom: Tensor
    still: Tensor
    shrinkage: float


class Moments:
    """Sums of vectors ``(n, 2 K)`` and of their products, in float64.

    Sums over different samples add up: by :meth:`merge`, or by a reduction of
    :attr:`sums` over all ranks.

    Args:
        landmarks: ``K``.
        device: Of the sums.

    Attributes:
        sums: One float64 vector of all sums.
    """

    def __init__(self, landmarks: int, device: torch.device | str = "cpu") -> None:
        shapes = self._shapes(landmarks, 2 * landmarks)
        sizes = [torch.Size(shape).numel() for shape in shapes.values()]
        self.sums = torch.zeros(sum(sizes), dtype=torch.float64, device=device)
        views = self.sums.split(sizes)
        self._sum = {n: v.view(s) for (n, s), v in zip(shapes.items(), views)}

    @staticmethod
    def _shapes(k: int, c: int) -> dict[str, tuple[int, ...]]:
        return dict(
            samples=(1,),
            incomplete=(1,),
            pairs=(k, k),
            values=(c, k),
            products=(c, c),
            squares=(c, c),
        )

    def merge(self, other: Moments) -> None:
        """Add the samples of other sums."""
        self.sums += other.sums

    def _add(self, centred: Tensor, counted: Tensor | None, squares: bool) -> None:
        """Add vectors ``(n, 2 K)``, 0 where they do not count."""
        total = self._sum
        total["samples"] += len(centred)
        total["products"] += centred.T @ centred
        if squares:
            squared = centred.square()
            total["squares"] += squared.T @ squared
        if counted is None:
            total["pairs"] += len(centred)
            total["values"] += centred.sum(0)[:, None]
        else:
            total["incomplete"] += 1
            shown = counted.to(centred)
            total["pairs"] += shown.T @ shown
            total["values"] += centred.T @ shown

    def _explain(self, shrinkage: float | None, rest: Tensor | None) -> _Explained:
        """Return covariance and what is unexplained.

        Args:
            shrinkage: ``a``; None: estimated.
            rest: ``(2 K,)`` sum of squared residuals, if they were added up.
        """
        pairs = self._sum["pairs"].repeat_interleave(2, 0).repeat_interleave(2, 1)
        values = self._sum["values"].repeat_interleave(2, 1)
        number = pairs.diagonal()
        mean = values.diagonal() / number.clamp(min=1)
        across = values * mean
        products = self._sum["products"] - across - across.T
        products += pairs * torch.outer(mean, mean)
        pairs = pairs.clamp(min=1)
        # Over pairs where not all are counted it may have negative eigenvalues.
        covariance = _nonnegative(products / pairs)
        still = products.diagonal() <= 1e-12 * self._sum["products"].diagonal()
        covariance = covariance.masked_fill(still | still[:, None], 0)
        variance = covariance.diagonal()
        a, explainable = shrinkage, torch.ones_like(variance)
        if a is None:
            a, explainable = self._shrinkage(covariance, pairs)
        shrunk = (1 - a) * covariance
        full = shrunk + torch.diag(torch.where(still, 1, a * variance))
        precision = torch.linalg.inv(full)
        if rest is None:
            ratio = precision / precision.diagonal()
            rest = ((products @ ratio) * ratio).sum(0).clamp(min=0)
        smoother = shrunk @ precision
        freedom = 2 * smoother.trace() - (smoother @ smoother).trace()
        unexplained = rest / (number - 1 - freedom).clamp(min=1)
        unexplained = torch.minimum(unexplained, variance)
        # Of what the others explain, so much is lost by shrinking.
        missed = a**2 * torch.minimum(explainable * variance, unexplained)
        return _Explained(
            *(number, mean, full, precision, unexplained, missed, freedom, still, a)
        )

    def _shrinkage(self, covariance: Tensor, pairs: Tensor) -> tuple[float, Tensor]:
        """Return how far to shrink correlations (Schaefer and Strimmer 2005).

        And which share of each coordinate's variance the others explain at most,
        ``(2 K,)``: the sum of its squared correlations, without what chance adds to
        them, and two standard errors of that.
        """
        deviation = covariance.diagonal().sqrt()
        scale = torch.where(deviation > 0, deviation, torch.inf)
        correlation = covariance / torch.outer(scale, scale)
        squares = self._sum["squares"] / torch.outer(scale, scale).square()
        uncertain = squares / pairs - correlation**2
        uncertain = uncertain * pairs**2 / (pairs - 1).clamp(min=1) ** 3
        others = 1 - torch.eye(len(scale), dtype=scale.dtype, device=scale.device)
        strength = correlation**2 * others
        uncertain = uncertain * others
        least = float(1 / self._sum["samples"])
        total = strength.sum().clamp(min=torch.finfo(scale.dtype).tiny)
        a = float((uncertain.sum() / total).clamp(least, 1))
        # By chance a squared correlation is 1 / n, and deviates from it by sqrt(2) / n.
        chance = (2 * others / pairs.square()).sum(1).sqrt()
        explainable = (strength - uncertain).sum(1).clamp(min=0) + 2 * chance
        return a, explainable.clamp(max=1)


class ConsensusMoments(Moments):
    """Sums over samples, of which the next model is solved.

    Only sums of the same model add up.

    Args:
        model: Says which differences are usual; what is beyond is clipped.
        landmarks: ``K``.
        device: Of the sums.
    """

    def __init__(
        self,
        model: ConsensusModel,
        landmarks: int,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(landmarks, device)
        self.model = model

    @staticmethod
    def _shapes(k: int, c: int) -> dict[str, tuple[int, ...]]:
        added = dict(
            rest=(c,), guarded=(1,), own=(c,), known=(k,), told=(1,), noise=(c,)
        )
        return {**Moments._shapes(k, c), **added}

    def update(self, rows: ConsensusRows) -> None:
        """Add some samples.

        Raises:
            ValueError: On shapes that disagree, or values that are not finite at
                visible landmarks.
        """
        rows.check()
        part = differences(rows, self.model.options)
        self.add(part, self.model.usual(part))

    def add(self, part: Differences, usual: Tensor) -> None:
        """Add samples whose usual differences are known."""
        total = self._sum
        centred = _without(usual - self.model.centre.to(usual), part.counted)
        self._add(centred, part.counted, self.model.options.shrinkage is None)
        rest = _without(centred @ self.model.ratio.to(usual), part.counted)
        total["rest"] += rest.square().sum(0)
        if part.own is not None and part.known is not None:
            total["guarded"] += 1
            own = torch.minimum(part.own, self.model.limit.square().to(usual))
            total["own"] += own.sum(0)
            total["known"] += part.known.sum(0)
        if part.noise is not None:
            total["told"] += 1
            total["noise"] += _without(part.noise, part.counted).sum(0)

    def solve(self) -> ConsensusModel:
        """Return the model of all samples added."""
        options, before = self.model.options, self.model
        summed = bool(self._sum["incomplete"] > 0)
        found = self._explain(options.shrinkage, self._sum["rest"] if summed else None)
        own = self._own(found.number)
        least = (1 - options.noise_share) * found.unexplained
        kept = (found.unexplained - torch.maximum(own, least)).clamp(min=0)
        known = None
        if self._sum["told"] > 0:
            known = self._sum["noise"] / found.number.clamp(min=1)
            kept = torch.minimum(kept, known)
        else:
            # Where correlations cannot be measured nothing can be told apart.
            kept = kept * (1 - found.missed / found.unexplained.clamp(min=1e-300))
        if options.evidence == "views" and known is None:
            noise = self._beside_the_views(found, own)
        else:
            noise = _noise(kept, options.sliding, options.slide_share)
        network = _nonnegative(found.covariance - noise)
        pull = -torch.linalg.solve(network + noise, noise)
        scale = found.precision.diagonal().rsqrt()
        normalised = found.precision * torch.outer(scale, scale)
        return ConsensusModel(
            options,
            before.median,
            before.first_limit,
            centre=before.centre + found.mean,
            ratio=found.precision / found.precision.diagonal(),
            limit=options.clip * scale,
            step=min(1.0, 1.9 / float(torch.linalg.eigvalsh(normalised)[-1])),
            pull=pull,
            # A gross error may be the network's where its own explains the rest.
            gross=(1 - own / found.unexplained.clamp(min=1e-300)).clamp(0, 1),
            own=own,
            unexplained=found.unexplained,
            annotators=noise.diagonal().view(-1, 2).sum(1),
            network=network.diagonal().masked_fill(found.still, 0).view(-1, 2).sum(1),
            shrinkage=found.shrinkage,
            known=known,
            errors=None if known is None else torch.stack((noise, network)),
        )

    def _beside_the_views(self, found: _Explained, own: Tensor) -> Tensor:
        """Return ``E``: what the differences vary by beside what the views show."""
        options = self.model.options
        if options.view_covariance is None:
            return torch.zeros_like(found.covariance)
        views = options.view_covariance.to(found.covariance)
        known = torch.isfinite(own) & ~found.still
        deviation = torch.where(known, own, 0).sqrt()
        scale = deviation * views.diagonal().clamp(min=1e-30).rsqrt()
        network = views * torch.outer(scale, scale)
        noise = options.noise_share * _nonnegative(found.covariance - network)
        return noise.masked_fill(~(known & known[:, None]), 0)

    def _own(self, number: Tensor) -> Tensor:
        """Return each coordinate's own network variance; infinite if not known.

        With a standard error of what it is taken off added: a variance over ``n``
        samples is known up to ``sqrt(2 / n)`` of itself.
        """
        if not self._sum["guarded"] > 0:
            return self._sum["own"].clone()
        known = self._sum["known"].repeat_interleave(2)
        own = self._sum["own"] / known.clamp(min=1)
        own = own * (1 + (2 / number.clamp(min=1)).sqrt())
        return own.masked_fill(known == 0, torch.inf)


class ViewScatter(Moments):
    """How single views scatter around the mean over views: alike or each by itself.

    What all landmarks of a view do together, as when its box is moved, is no error of
    a landmark's own. Positions are in units of each face's size.
    """

    def update(self, apart: Tensor, counted: Tensor) -> None:
        """Add views.

        Args:
            apart: ``(n, K, 2)`` view minus mean, scaled to the variance of a single
                view.
            counted: ``(n, K)`` bool, where there is one; views of fewer than four
                landmarks do not tell what is common.
        """
        enough = counted.sum(1, keepdim=True) >= min(4, counted.shape[1])
        counted = counted & enough
        apart = torch.where(counted[..., None], apart, 0).flatten(1)
        self._add(apart, None if counted.all() else counted, squares=True)

    def whole(self) -> Tensor:
        """Return the covariance of all coordinates, ``(2 K, 2 K)``, shrunk.

        Coordinates stand landmark by landmark, x and y.
        """
        found = self._explain(None, None)
        still = found.still | found.still[:, None]
        return found.covariance.masked_fill(still, 0)

    def covariance(self) -> Tensor:
        """Return ``xx, yy, xy`` of each landmark, ``(K, 2, 3)``.

        First of the whole scatter, then of what the other landmarks do not explain. Of
        few views nothing is explained.
        """
        found = self._explain(None, None)
        k = len(found.mean) // 2
        places = torch.arange(2 * k, device=self.sums.device).view(k, 2, 1)
        blocks = places, places.mT
        number = found.number[::2].clamp(min=1)
        left = (number - 1 - found.freedom).clamp(min=1)  # by what explains
        unshared = torch.linalg.inv(found.precision[blocks])
        unshared = unshared * (number / left)[:, None, None]
        both = torch.stack((found.covariance[blocks], unshared), 1)
        both = both.masked_fill(found.still.view(k, 2).any(1)[:, None, None, None], 0)
        return torch.stack((both[..., 0, 0], both[..., 1, 1], both[..., 0, 1]), -1)


def _noise(
    unexplained: Tensor, sliding: Sequence[Sequence[int]], slide_share: float
) -> Tensor:
    """Return the annotators' covariance ``E (2 K, 2 K)``."""
    noise = torch.diag(unexplained)
    for curve in sliding:
        index = 2 * torch.as_tensor(list(curve), device=noise.device)
        deviation = unexplained[index].sqrt()
        common = slide_share / (1 - slide_share) * torch.outer(deviation, deviation)
        noise[index[:, None], index] += common
    return noise


def _nonnegative(matrix: Tensor) -> Tensor:
    """Return a symmetric matrix without its negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0)) @ vectors.T
