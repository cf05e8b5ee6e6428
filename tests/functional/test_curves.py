"""Tangents of curves against loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semamb_mm.functional import curve_tangents


def loop_tangents(points, curves, visible):
    """Landmark by landmark."""
    result = torch.zeros_like(points)
    for b in range(len(points)):
        for curve in curves:
            for place, k in enumerate(curve):
                near = [
                    n
                    for n in curve[max(place - 1, 0) : place + 2]
                    if visible[b, n] and n != k
                ]
                if not visible[b, k] or not near:
                    continue
                first = near[0] if curve.index(near[0]) < place else k
                last = near[-1] if curve.index(near[-1]) > place else k
                chord = points[b, last] - points[b, first]
                if chord.any():
                    result[b, k] = chord / chord.square().sum().sqrt()
    return result


def test_tangents_by_hand():
    points = torch.tensor(
        [[[0.0, 0.0], [3.0, 4.0], [6.0, 0.0], [9.0, 9.0], [9.0, 9.0], [1.0, 1.0]]]
    )
    tangents = curve_tangents(points, [[0, 1, 2], [3, 4]])[0].tolist()
    assert tangents[0] == pytest.approx([0.6, 0.8])
    assert tangents[1] == pytest.approx([1.0, 0.0])
    assert tangents[2] == pytest.approx([0.6, -0.8])
    assert tangents[3] == tangents[4] == tangents[5] == [0.0, 0.0]
    visible = torch.tensor([[1, 1, 0, 1, 1, 1]])
    points[0, 2] = float("nan")
    tangents = curve_tangents(points, [[0, 1, 2]], visible)[0].tolist()
    assert tangents[1] == pytest.approx([0.6, 0.8])
    assert tangents[2] == [0.0, 0.0]
    for curves in ([[0, 6]], [[0, 1], [1, 2]], [[-1, 0]]):
        with pytest.raises(ValueError, match="curves must hold"):
            curve_tangents(points, curves)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), landmarks=st.integers(1, 9), cut=st.integers(0, 9))
def test_equals_the_loop_for_any_points(seed, landmarks, cut):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(3, landmarks, 2, generator=generator, dtype=torch.float64)
    visible = torch.rand(3, landmarks, generator=generator) > 0.3
    order = torch.randperm(landmarks, generator=generator).tolist()
    curves = [curve for curve in (order[:cut], order[cut + 1 :]) if curve]
    tangents = curve_tangents(points, curves, visible)
    torch.testing.assert_close(tangents, loop_tangents(points, curves, visible))
    lengths = tangents.norm(dim=-1)
    assert ((lengths - 1).abs() < 1e-9).logical_or(lengths == 0).all()
    # A curve has no first end, and the image no first corner.
    back = curve_tangents(points, [curve[::-1] for curve in curves], visible)
    torch.testing.assert_close(back, -tangents)
    moved = curve_tangents(3 * points + 7, curves, visible)
    torch.testing.assert_close(moved, tangents)


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(2, 5, 2, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda p: curve_tangents(p, [[0, 1, 2], [4, 3]]), points.requires_grad_()
    )
