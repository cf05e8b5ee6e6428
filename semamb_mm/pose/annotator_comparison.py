"""Several annotators compared: who differs from whom, by how much, and the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from semamb_mm.faces.sizes import face_unit
from semamb_mm.formats.annotators import Opinions
from semamb_mm.functional import (
    ObserverErrors,
    curve_tangents,
    half_samples,
    interval,
    intraclass_correlation,
    limits_of_agreement,
    observer_errors,
)

_FEWEST = 4  # different pictures of which halves say how much they vary
_WORST = 5.0  # times the usual difference: what pictures are sorted by stops there


@dataclass(frozen=True)
class Summary:
    """One observer over all landmarks, ``(3,)`` each: figure and 95 % interval.

    Attributes:
        noise: RMS distance of its annotations from its own convention.
        offset: RMS distance of its convention from the annotators' mean one.
        from_network: RMS distance of its convention from the network's; None without.
    """

    noise: Tensor
    offset: Tensor
    from_network: Tensor | None


class Comparison:
    """Observers of the same samples, lengths in units of the samples' sizes.

    Args:
        opinions: The annotators', and the network's as the last one if there is any.
        network: Whether there is.
        curves: Landmark indices of open curves.

    Attributes:
        opinions: As given.
        network: As given.
        curves: As given.
        units: ``(N,)`` pixels, see :func:`semamb_mm.faces.sizes.face_unit`.
        points: ``(M, N, K, 2)`` in units; NaN where missing.
        errors: See :func:`semamb_mm.functional.observer_errors`.

    Raises:
        ValueError: If there is one observer alone.
    """

    def __init__(
        self, opinions: Opinions, network: bool, curves: Sequence[Sequence[int]] = ()
    ) -> None:
        self.opinions, self.network, self.curves = opinions, network, curves
        if len(opinions.names) < 2:
            raise ValueError(
                f"{opinions.names} alone: expected two observers or more to compare"
            )
        people = opinions.points[: len(opinions.names) - network]
        seen = np.isfinite(people).all(-1)
        mean = np.where(seen[..., None], people, 0).sum(0) / seen.sum(0)[
            ..., None
        ].clip(1)
        self.units = face_unit(mean, seen.any(0))
        self.points = torch.from_numpy(opinions.points / self.units[:, None, None])
        self.errors = self._errors(slice(None))

    def _errors(self, rows: Tensor | slice) -> ObserverErrors:
        return observer_errors(
            self.points[:, rows], curves=self.curves, network=self.network
        )

    @property
    def people(self) -> int:
        """Number of the annotators."""
        return len(self.opinions.names) - int(self.network)

    @property
    def mean_shape(self) -> np.ndarray:
        """Mean of the annotators around each sample's centre, ``(K, 2)`` in units."""
        points = self.points[: self.people].nanmean(0)
        return (points - points.nanmean(1, keepdim=True)).nanmean(0).numpy()

    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """Return offsets ``(M, K, 2)`` and covariances ``(M, K, 2, 2)`` in x and y.

        As they are at the mean shape.
        """
        shape = torch.from_numpy(self.mean_shape)[None]
        along = curve_tangents(shape, self.curves)[0]
        alone = ~along.any(-1)
        along[alone] = torch.tensor([1.0, 0.0]).to(along)
        across = torch.stack((-along[:, 1], along[:, 0]), -1)
        turn = torch.stack((along, across), -1)
        first, second, both = self.errors.covariances.unbind(-1)
        covariances = torch.stack((first, both, both, second), -1).unflatten(-1, (2, 2))
        offsets = (turn @ self.errors.offsets[..., None])[..., 0]
        return offsets.numpy(), (turn @ covariances @ turn.mT).numpy()

    def summaries(self, resamples: int = 200, seed: int = 0) -> list[Summary]:
        """Return each observer's figures, with intervals by halves of the pictures.

        Of fewer than four different pictures the intervals are NaN: not known.

        Args:
            resamples: How many halves.
            seed: Of their choice.
        """
        groups = torch.from_numpy(self.opinions.groups)
        generator = torch.Generator().manual_seed(seed)
        whole = self._figures(slice(None))
        if len(groups.unique()) < _FEWEST:
            low = high = torch.full_like(whole, torch.nan)
        else:
            drawn = half_samples(groups, self._figures, resamples, generator)
            low, high = interval(whole, drawn)
        ends = torch.stack((whole, low, high), -1)
        return [
            Summary(noise, offset, apart if self.network else None)
            for noise, offset, apart in zip(*ends)
        ]

    def _figures(self, rows: Tensor | slice) -> Tensor:
        """Return noise, offset and distance from the network, ``(3, M)``, RMS."""
        errors = self.errors if isinstance(rows, slice) else self._errors(rows)
        counted = errors.counts > 0
        own = errors.offset_errors.square()
        apart = errors.offsets - errors.offsets[-1]
        parts = (
            errors.variances,
            # Less what chance adds to them.
            (errors.offsets.square() - own).sum(-1),
            (apart.square() - own - own[-1]).sum(-1),
        )
        number = counted.sum(1).clamp(min=1)
        return torch.stack(
            [
                (torch.where(counted, part, 0).sum(1) / number).clamp(min=0).sqrt()
                for part in parts
            ]
        )

    def repeats(self) -> list[tuple[int, float, float]]:
        """Return what each observer's repeats of a picture say.

        Returns:
            For each observer the number of landmarks marked twice, the RMS distance of
            the two marks, and the noise of one, that over the root of 2; in units.
        """
        rows = np.array(pairs_of_a_group(self.opinions.groups), int).reshape(-1, 2)
        first, second = rows.T
        unit = (self.units[first] + self.units[second])[:, None] / 2
        found = []
        for points in self.opinions.points:
            apart = np.linalg.norm(points[first] - points[second], axis=-1) / unit
            squares = torch.from_numpy(apart[np.isfinite(apart)] ** 2)
            rms = float(squares.mean().sqrt())  # NaN of none
            found.append((len(squares), rms, rms / 2**0.5))
        return found

    def landmark_rows(self) -> Iterator[list]:
        """Yield each observer's figures of each landmark, percent of the units."""
        errors = self.errors
        for m, k in np.ndindex(errors.counts.shape):
            offset, sd = 100 * errors.offsets[m, k], 100 * errors.offset_errors[m, k]
            first, second, both = errors.covariances[m, k].tolist()
            yield [
                self.opinions.names[m],
                k,
                self.opinions.landmarks[k],
                int(errors.counts[m, k]),
                *(
                    f"{value:.3f}"
                    for value in (*offset.tolist(), *(1.96 * sd).tolist())
                ),
                f"{100 * first**0.5:.3f}",
                f"{100 * second**0.5:.3f}",
                f"{both / max((first * second) ** 0.5, 1e-30):.2f}",
                int(errors.identified[m, k]),
                int(errors.negative[m, k]),
            ]

    LANDMARK_HEADER = (
        *("observer", "landmark", "name", "samples", "offset_along", "offset_across"),
        *("offset_along_ci", "offset_across_ci", "sd_along", "sd_across"),
        *("correlation", "identified", "negative"),
    )

    def pair_rows(self) -> Iterator[list]:
        """Yield what each two observers differ by at each landmark.

        Differences are percent of the units, in x and y; Dahlberg's error is the root
        of their mean square over 2; ICC is of the positions in pixels.
        """
        for a, b in combinations(range(len(self.points)), 2):
            apart = 100 * (self.points[a] - self.points[b])
            limits = limits_of_agreement(apart)
            dahlberg = (apart.square().nanmean(0) / 2).sqrt()
            for k in range(apart.shape[1]):
                pixels = torch.from_numpy(self.opinions.points[[a, b], :, k])
                icc = [
                    intraclass_correlation(pixels[..., axis].T).agreement
                    for axis in (0, 1)
                ]
                cells = []
                for axis in (0, 1):
                    cells += [part[k, axis] for part in limits[1:]]
                    cells += [dahlberg[k, axis], icc[axis]]
                yield [
                    self.opinions.names[a],
                    self.opinions.names[b],
                    k,
                    self.opinions.landmarks[k],
                    int(limits.number[k, 0]),
                    *(f"{float(value):.4f}" for value in cells),
                ]

    PAIR_HEADER = (
        *("first", "second", "landmark", "name", "samples"),
        *(
            f"{what}_{axis}"
            for axis in "xy"
            for what in ("bias", "low", "high", "dahlberg", "icc")
        ),
    )

    def disagreement(self) -> Tensor:
        """Return how far each mark is from the others' mean, ``(M, N, K)``, in units.

        Offsets are taken out, where no curve turns them. NaN where nobody else is.
        """
        plain = observer_errors(self.points, network=self.network)
        points = self.points - plain.offsets[:, None]
        seen = torch.isfinite(points).all(-1)
        total = torch.where(seen[..., None], points, 0).sum(0)
        others = seen.sum(0) - seen.to(torch.int64)
        rest = (total - points) / others.clamp(min=1)[..., None]
        apart = (points - rest).norm(dim=-1)
        return apart.masked_fill(~seen | (others < 1), torch.nan)

    def worst(self, count: int) -> list[tuple[int, float, int, int]]:
        """Return the samples that observers differ most about, the worst first.

        Args:
            count: How many.

        Returns:
            Each one's row, its RMS difference as a multiple of the landmarks' usual
            (median) ones, and observer and landmark that are furthest from the others.
        """
        apart = self.disagreement()
        usual = apart.nanmedian(1, keepdim=True).values.clamp(min=1e-12)
        relative = apart / usual
        limited = relative.clamp(max=_WORST).square()
        score = limited.nanmean((0, 2)).sqrt().nan_to_num(-1)
        order = score.argsort(descending=True, stable=True)[:count].tolist()
        found = []
        for row in order:
            if score[row] < 0:
                continue
            flat = int(relative[:, row].nan_to_num(-1).argmax())
            observer, landmark = divmod(flat, relative.shape[2])
            found.append((row, float(score[row]), observer, landmark))
        return found


def pairs_of_a_group(groups: np.ndarray) -> list[tuple[int, int]]:
    """Return the rows of each two samples that show the same.

    Args:
        groups: ``(N,)`` int, the same for those.
    """
    rows: dict[int, list[int]] = {}
    for row, group in enumerate(groups.tolist()):
        rows.setdefault(group, []).append(row)
    return [pair for part in rows.values() for pair in combinations(part, 2)]
