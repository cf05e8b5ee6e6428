"""The search's old options: in heatmap cells, given to the head.

Deprecated. They are converted to those of ``LatentTargetHook(search=dict(...))``,
which mean the same at every resolution.
"""

from __future__ import annotations

import warnings

import numpy as np

from .options import check_options

# What the old options were where they were not given.
_OLD_DEFAULTS = dict(
    search_radius=8,
    patch_radius=None,
    sigma=None,
    sigma_prior=4.0,
    sigma_likelihood=2.0,
    subcell="mean",
    curves=None,
    sigma_normal=None,
)


def convert_cell_options(search: dict, sigma: float, owner: str) -> dict:
    """Return old options as the hook's, with a warning that shows them.

    Args:
        search: ``search_radius``, ``patch_radius``, ``sigma``, ``sigma_prior``,
            ``sigma_normal`` in cells; ``sigma_likelihood`` in units of
            sqrt(chi-square) summed over the patch; ``subcell`` and ``curves``.
        sigma: Standard deviation of the codec's Gaussians, in cells. ``sigma`` of
            ``search`` goes before.
        owner: Who is configured, for the messages.

    Raises:
        ValueError: On an unknown option.
    """
    check_options(
        f"{owner}: unknown search option", _OLD_DEFAULTS, search, lambda: None
    )
    old = dict(_OLD_DEFAULTS, **search)
    sigma = sigma if old["sigma"] is None else old["sigma"]
    patch = old["patch_radius"]
    patch = max(1, int(sigma)) if patch is None else patch

    def divided(values, by):
        return None if values is None else (np.asarray(values) / by).tolist()

    new = dict(
        radius=old["search_radius"] / sigma,
        patch_radius=patch / sigma,
        prior=divided(old["sigma_prior"], sigma),
        likelihood=divided(old["sigma_likelihood"], 2 * patch + 1),
        step=1 / sigma,
        subcell=old["subcell"],
        curves=old["curves"],
        prior_across=divided(old["sigma_normal"], sigma),
    )
    shown = ", ".join(f"{k}={v}" for k, v in new.items() if v is not None)
    warnings.warn(
        f"{owner}(search=...) in heatmap cells is deprecated: give "
        f"LatentTargetHook(search=dict({shown})), in units of the codec's sigma",
        DeprecationWarning,
        stacklevel=3,
    )
    return new
