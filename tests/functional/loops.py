"""The paper's formulas in plain float64 loops, and perfect heatmaps."""

import math

import torch


def gaussian(distance_x, distance_y, sigma):
    return math.exp(-(distance_x**2 + distance_y**2) / (2 * sigma**2))


def loop_chi_square(heatmap, x, y, patch_radius, sigma):
    """One chi-square, cell by cell, in float64."""
    height, width = heatmap.shape
    total = 0.0
    for dy in range(-patch_radius, patch_radius + 1):
        for dx in range(-patch_radius, patch_radius + 1):
            inside = 0 <= y + dy < height and 0 <= x + dx < width
            phi = float(heatmap[y + dy, x + dx]) if inside else 0.0
            expected = gaussian(dx, dy, sigma)
            total += (expected - phi) ** 2 / expected
    return total


def loop_map(heatmaps, centers, search_radius, patch_radius, sigma):
    side = 2 * search_radius + 1
    result = torch.zeros(*heatmaps.shape[:2], side, side, dtype=torch.float64)
    for b, k in torch.cartesian_prod(*map(torch.arange, heatmaps.shape[:2])).tolist():
        x, y = centers[b, k].tolist()
        for row in range(side):
            for column in range(side):
                result[b, k, row, column] = loop_chi_square(
                    heatmaps[b, k].double(),
                    x + column - search_radius,
                    y + row - search_radius,
                    patch_radius,
                    sigma,
                )
    return result


def heatmaps_at(points, size=32, sigma=1.5, dtype=torch.float64):
    """Perfect Gaussians: (B, K, size, size) for points (B, K, 2)."""
    cells = torch.arange(size, dtype=dtype)
    x = (cells - points[..., :1].to(dtype)).square()
    y = (cells - points[..., 1:].to(dtype)).square()
    return torch.exp(-(x[..., None, :] + y[..., :, None]) / (2 * sigma**2))
