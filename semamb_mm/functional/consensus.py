"""Targets from a whole data set's annotations and search results together.

Ours, not the paper's. The paper's prior ``P(o | y)`` takes every landmark for
itself and needs to be told how noisy its annotation is. Over a data set that can
be measured. An annotator's slip at one landmark says nothing about the next one; a
network that misjudges a face misjudges neighbouring landmarks alike. So what a
landmark's difference between annotation and network shares with the other
landmarks' differences is the network's error, and what it does not share is the
annotator's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .consensus_moments import (
    CHUNK,
    ConsensusModel,
    ConsensusMoments,
    ConsensusOptions,
    ConsensusRows,
    Differences,
    differences,
)
from .observers import ObserverErrors, combine_observers, observer_errors

_CLIP_ROUNDS = 10
_SAMPLE = 20_000  # samples that rounds and annotators' errors look at
_CONVERGED = 5e-4  # deviations that usual differences still change by


def consensus_targets(
    observed: Tensor,
    found: Tensor,
    *,
    curves: Sequence[Sequence[int]] = (),
    sliding: Sequence[Sequence[int]] = (),
    noise_share: float = 0.9,
    slide_share: float = 0.3,
    clip: float = 3.0,
    shrinkage: float | None = None,
    visible: Tensor | None = None,
    spread: Tensor | None = None,
    counts: Tensor | None = None,
    network_share: float = 1.0,
    scatter: Tensor | None = None,
    evidence: str = "landmarks",
    view_covariance: Tensor | None = None,
) -> Tensor:
    """Return the most likely landmarks, given annotations and search results.

    With ``y`` the real landmarks, all coordinates of a face in one vector,
    ``o = y + e`` the annotations and ``p = y + n`` what the search found, ``e``
    and ``n`` independent with covariances ``E`` and ``N``, the best linear
    estimate is ``y = p + N C^-1 (o - p)``, ``C = E + N`` being the covariance of
    ``o - p``. ``C`` is measured over the samples, its correlations shrunk towards
    none by the share ``a``, the more the fewer the samples (Schaefer and Strimmer
    2005). What the other coordinates do not explain of coordinate ``j`` (Guttman
    1953) is taken for the annotator's own: ``E = noise_share * diag(u - a^2 m)`` with
    ``u_j = |r_j|^2 / (n - 1 - tr(2 S - S^2))``. Here ``r_j`` is the residual of the
    ridge regression on the others that belongs to ``a``, and ``S = (1 - a) C ((1 - a) C
    + a diag(C))^-1`` stands for its smoother (Hastie and Tibshirani 1990, section 3.5).
    Of what the others explain, shrunk correlations miss the share ``a^2``. ``m`` bounds
    it: the sum of a coordinate's squared correlations without what chance adds to them,
    and two standard errors of it, times ``C_jj``; at most ``u_j``, which it is where
    ``shrinkage`` is given. So where nothing is correlated, all is the annotator's, as
    soon as there are enough samples to know. Landmarks of a curve that has no definite
    ends, such as a face's contour, may also slide along it together; their coordinates
    along it get the covariance ``slide_share / (1 - slide_share) * sqrt(E_i E_j)`` on
    top. ``N`` is ``C - E`` without its negative eigenvalues. The mean of ``o - p`` is
    kept: where all annotators agree, they define the landmark.

    What the others do not explain is the annotator's error only where the network has
    no error of each landmark's own. ``spread`` bounds it. Of ``v`` views, ``W`` being
    the variance of a single view (its part that other landmarks do not share, if
    ``scatter`` tells), the mean errs by ``W / v``, and by what is the same in all
    views, for which ``network_share * W`` is allowed. So ``E`` is at
    most ``(1 - a^2 m / u) (u - w)`` with ``w = (network_share + 1 / v) * W`` of ``v``
    views, averaged over the samples and a standard error of ``u`` larger, and 0 where
    ``w`` is above ``u``. Gross errors are taken back in the share ``1 - w / u``, and
    only beyond ``clip`` deviations of their own sample's views; and a sample whose own
    views scatter more than is usual moves less.

    All this takes annotators' errors for independent between landmarks. Who misjudges a
    chin misjudges all of its landmarks. ``evidence='views'`` does without it, where
    ``found`` is the mean of several networks that have not seen the samples, and
    ``spread`` how those differ: their differences show the network's error itself. So
    ``E = noise_share * (C - w)`` without its negative eigenvalues, ``w`` as above of
    all coordinates, correlated as ``view_covariance`` tells; ``N`` is the rest. Views
    of a single network do not show what it has learned wrong, and an annotator's error
    that it was trained on is in all of them.

    Assumed otherwise: annotators' errors are independent between landmarks, but for
    sliding and
    for what is the same in all samples; and of the network's own error the views show
    ``1 / (1 + network_share)`` at least. Then, with enough samples to know ``C``,
    targets are on average no worse than annotations (``python -m
    studies.network_error``). An own error that all views repeat, and that is larger,
    is the same in every number here as an annotator's slip: nobody can tell the two
    apart without other annotators, another network or the truth.

    Args:
        observed: ``(N, K, 2)`` annotated ``(x, y)``, each face in units of its
            own size.
        found: ``(N, K, 2)`` what the search found for the same landmarks, in the
            same units; best averaged over several views.
        curves: Landmark indices of open curves, see :func:`curve_tangents`. On
            them errors are told apart along and across; elsewhere in x and y.
        sliding: Those curves on which all landmarks may slide together.
        noise_share: Share of the unexplained variance that is taken for the
            annotators', in [0, 1]; 0 takes back gross errors only.
        slide_share: Share of an annotator's variance along a sliding curve that
            is common to the whole curve, in [0, 1).
        clip: An annotation further from what the others explain than so many
            deviations is a gross error: what is beyond is taken back in full, and
            neither moves other landmarks nor counts in ``C`` (Huber's winsorizing).
        shrinkage: ``a`` in (0, 1], if it shall not be estimated. At 1 nothing can be
            told apart, as with a handful of samples: all but gross errors stay.
        visible: ``(N, K)``; landmarks with 0 keep their annotation and count
            nowhere. ``(A, N, K)`` of several annotators: those with 0 are missing.
        spread: ``(N, K, 3)`` covariance ``xx, yy, xy`` of a single view around the
            mean over views that ``found`` is, in ``observed``'s units squared. It
            bounds the network's own error, see below. Looked at where a landmark was
            searched twice or more; landmarks for which no sample has one stay as they
            are. Without it all that is unexplained is the annotator's.
        counts: ``(N, K)`` how often each landmark was searched. Those with 0 keep
            their annotation and count nowhere. With ``spread`` it defaults to 2.
        network_share: Variance of a landmark's own error that is the same in all
            views, at most, as a multiple of ``spread``.
        scatter: ``(K, 2, 3)`` of :class:`ViewScatter`: how much of the spread is a
            landmark's own, and not alike at all landmarks of a view. Without it all
            of the spread is.
        evidence: What tells the annotators' errors from the network's:
            ``'landmarks'``, what other landmarks do not explain; or ``'views'``, what
            views of several networks do not show. Then ``curves``, ``sliding`` and
            ``scatter`` are not looked at.
        view_covariance: ``(2 K, 2 K)`` of single views around their mean, for
            ``evidence='views'``; :meth:`ViewScatter.whole`. Without it nothing moves
            but gross errors.

    Returns:
        ``(N, K, 2)`` targets, of ``observed``'s dtype; of fewer than two samples, the
        annotations.

    Raises:
        ValueError: On shapes that disagree, values that are not finite at
            visible landmarks, options out of range, or a sliding curve that is not
            among ``curves``.

    Example:
        >>> truth = torch.randn(200, 1, 2).expand(200, 8, 2)
        >>> noisy = truth + 0.1 * torch.randn(200, 8, 2)
        >>> found = truth + 0.1 * torch.randn(200, 1, 2)
        >>> targets = consensus_targets(noisy, found)
        >>> bool((targets - truth).norm() < 0.6 * (noisy - truth).norm())
        True
    """
    noise = None
    if observed.dim() == 4:
        seen = visible
        visible = None if seen is None else (seen > 0).any(0)
        observed, noise, _ = combine_annotations(
            observed, found, seen, counts, curves=curves, clip=clip
        )
    rows = ConsensusRows(observed, found, visible, spread, counts, noise)
    rows.check()
    options = ConsensusOptions(
        *(curves, sliding, noise_share, slide_share, clip, shrinkage, network_share),
        scatter=scatter,
        fewest=min(4, int(rows.seen().any(0).sum())),
        evidence=evidence,
        view_covariance=view_covariance,
    )
    targets = observed.clone()
    consensus_by_chunks(len(observed), rows.take, targets.__setitem__, options)
    return targets


def combine_annotations(
    observed: Tensor,
    found: Tensor,
    visible: Tensor | None = None,
    counts: Tensor | None = None,
    *,
    curves: Sequence[Sequence[int]] = (),
    clip: float = 3.0,
) -> tuple[Tensor, Tensor | None, ObserverErrors | None]:
    """Return what several annotators say together, and how uncertain it is.

    By :func:`observer_errors` and :func:`combine_observers`. Three annotators tell
    their errors apart by themselves; of two, the network is asked as the third.

    Args:
        observed: ``(A, N, K, 2)``, each sample in units of its own size.
        found: ``(N, K, 2)`` what the network found.
        visible: ``(A, N, K)``; annotations with 0 are missing.
        counts: ``(N, K)``; with 0 the network did not look. Defaults to all.
        curves: See :func:`curve_tangents`.
        clip: See :func:`observer_errors`.

    Returns:
        ``(N, K, 2)`` annotations; ``(N, K, 3)`` covariances xx, yy, xy of their errors;
        the observers' errors, the network's among them if it was asked. Of a single
        annotator its annotations, and None twice.

    Raises:
        ValueError: See :func:`observer_errors`.
    """
    if len(observed) == 1:
        return observed[0], None, None
    samples = observed.shape[1]
    rows = torch.linspace(0, max(0, samples - 1), min(samples, _SAMPLE)).round().long()
    points = observed
    seen = torch.isfinite(observed).all(-1) if visible is None else visible > 0
    options: dict = dict(curves=curves, clip=clip)
    errors = observer_errors(points[:, rows], seen[:, rows], **options)
    if not errors.identified[errors.counts > 0].all():
        looked = torch.isfinite(found).all(-1)
        looked = looked if counts is None else looked & (counts > 0)
        points = torch.cat((observed, found[None].to(observed)))
        seen = torch.cat((seen, looked[None]))
        options["network"] = True
        errors = observer_errors(points[:, rows], seen[:, rows], **options)
    parts = [
        combine_observers(points[:, chunk], seen[:, chunk], errors, **options)
        for chunk in _chunks(max(1, samples))
    ]
    combined, noise = (torch.cat(part) for part in zip(*parts))
    return combined, noise, errors


def consensus_by_chunks(
    samples: int,
    read: Callable[[Tensor | slice], ConsensusRows],
    write: Callable[[Tensor | slice, Tensor], object],
    options: ConsensusOptions,
) -> ConsensusModel | None:
    """Make consensus targets of samples that are read and written in chunks.

    Args:
        samples: ``N``.
        read: Gives the samples of some indices. Called more than once for each.
        write: Takes the targets ``(n, K, 2)`` of some indices.
        options: See :func:`consensus_targets`.

    Returns:
        What the targets were made with, the estimated variances of annotators and
        network among it; None for fewer than two samples, which stay as they are.
    """
    if samples < 2:
        return None
    rows = torch.linspace(0, samples - 1, min(samples, _SAMPLE)).round().long()
    part = differences(read(rows), options)
    model, usual = _converged(part, options)
    moments = ConsensusMoments(model, part.along.shape[1])
    if samples <= _SAMPLE:
        moments.add(part, usual)
        model = moments.solve()
        targets = read(rows).observed
        write(rows, targets + model.moves(part, usual).to(targets))
        return model
    for chunk in _chunks(samples):
        rows_read = differences(read(chunk), options)
        moments.add(rows_read, model.usual(rows_read))
    model = moments.solve()
    for chunk in _chunks(samples):
        write(chunk, model.apply(read(chunk)))
    return model


def _converged(
    part: Differences, options: ConsensusOptions
) -> tuple[ConsensusModel, Tensor]:
    """Return a model and the usual differences that it is solved of."""
    model = ConsensusModel.start(part, options)
    usual = model.usual(part)
    for _ in range(_CLIP_ROUNDS):
        moments = ConsensusMoments(model, part.along.shape[1])
        moments.add(part, usual)
        model, before = moments.solve(), usual
        usual = model.clipped(part, usual)
        change = (usual - before) * options.clip / model.limit.to(usual)
        if change.square().mean(0).amax().sqrt() < _CONVERGED:
            break
    return model, usual


def _chunks(samples: int) -> list[slice]:
    return [slice(i, min(i + CHUNK, samples)) for i in range(0, samples, CHUNK)]
