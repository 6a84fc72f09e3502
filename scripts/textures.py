"""Procedural natural-looking colour images in classes of texture and shape: the source task of the demo's weights.

Every class is a scalar pattern on warped coordinates; colours, lighting, blur, noise and grey-scale conversion are
drawn independently of the class, so that only form tells the classes apart.
"""

from collections.abc import Callable

import numpy as np

from transfusion_cli.phantoms.shapes import Array, blur, fractal_noise

Rng = np.random.Generator
Pattern = Callable[[Rng, Array, Array], Array]


def gradient(rng: Rng, x: Array, y: Array) -> Array:
    """A smooth ramp."""
    return 0.5 + 0.5 * np.clip(x, -1, 1)


def clouds(rng: Rng, x: Array, y: Array) -> Array:
    """Noise whose power falls steeply with frequency."""
    return 0.5 + 0.25 * fractal_noise(rng, len(x), rng.uniform(1.3, 1.8))


def grain(rng: Rng, x: Array, y: Array) -> Array:
    """Noise with power at all frequencies."""
    return 0.5 + 0.25 * fractal_noise(rng, len(x), rng.uniform(0.0, 0.8))


def camouflage(rng: Rng, x: Array, y: Array) -> Array:
    """Clouds in three flat tones."""
    return np.floor(np.clip(1.5 + fractal_noise(rng, len(x), 1.6), 0, 2.99)) / 2


def grating(rng: Rng, x: Array, y: Array) -> Array:
    """A sine wave."""
    return 0.5 + 0.5 * np.sin(rng.uniform(8, 22) * x)


def stripes(rng: Rng, x: Array, y: Array) -> Array:
    """Bars with sharp edges."""
    return ((x * rng.uniform(1.5, 4)) % 1 < rng.uniform(0.3, 0.7)).astype(np.float32)


def checker(rng: Rng, x: Array, y: Array) -> Array:
    """A chessboard."""
    f = rng.uniform(1.2, 3)
    return (np.floor(f * x) + np.floor(f * y)) % 2


def brick(rng: Rng, x: Array, y: Array) -> Array:
    """Courses of bricks in shades of their own, with mortar."""
    f, mortar = rng.uniform(1.5, 3), rng.uniform(0.08, 0.18)
    row = np.floor(2 * f * y)
    across = f * x + 0.5 * (row % 2)
    joint = (across % 1 < mortar / 1.5) | ((2 * f * y) % 1 < mortar * 1.5)
    return np.where(joint, 0, 0.75 + 0.25 * np.sin(12.9 * row + 78.2 * np.floor(across)))


def wood(rng: Rng, x: Array, y: Array) -> Array:
    """Rings of a tree, cut along the grain."""
    radius = np.hypot(x + rng.uniform(-2, 2), 0.25 * y + rng.uniform(0.2, 0.6)) + 0.04 * fractal_noise(rng, len(x), 1.5)
    return (radius * rng.uniform(4, 8)) % 1


def rays(rng: Rng, x: Array, y: Array) -> Array:
    """Sectors around a point."""
    angle = np.arctan2(y - rng.uniform(-0.5, 0.5), x - rng.uniform(-0.5, 0.5))
    return 0.5 + 0.5 * np.sign(np.sin(rng.integers(4, 10) * angle))


def circles(rng: Rng, x: Array, y: Array) -> Array:
    """Waves around a point."""
    return 0.5 + 0.5 * np.sin(rng.uniform(9, 20) * np.hypot(x - rng.uniform(-0.5, 0.5), y - rng.uniform(-0.5, 0.5)))


def dots(rng: Rng, x: Array, y: Array) -> Array:
    """Discs on a grid."""
    f = rng.uniform(1.3, 3)
    return (np.hypot((f * x) % 1 - 0.5, (f * y) % 1 - 0.5) < rng.uniform(0.2, 0.38)).astype(np.float32)


def cells(rng: Rng, x: Array, y: Array) -> Array:
    """Voronoi cells with borders."""
    points = rng.uniform(-1.5, 1.5, (2, rng.integers(12, 30)))
    distance = np.sort(np.hypot(x[..., None] - points[0], y[..., None] - points[1]), axis=-1)
    return np.clip((distance[..., 1] - distance[..., 0]) * rng.uniform(5, 10), 0, 1)


def strands(rng: Rng, x: Array, y: Array) -> Array:
    """A few bent threads."""
    field = np.zeros_like(x)
    for _ in range(rng.integers(4, 10)):
        angle, offset, bend, width = (
            rng.uniform(0, np.pi),
            rng.uniform(-1, 1),
            rng.normal(0, 0.4),
            rng.uniform(0.03, 0.08),
        )
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        field = np.maximum(field, np.abs(across - offset - bend * along**2) < width)
    return field


def leaves(rng: Rng, x: Array, y: Array) -> Array:
    """Dead leaves (Lee, Mumford & Huang 2001): discs with sizes of density r^-3 that occlude one another."""
    return _dead_leaves(rng, x, y, np.hypot)


def shards(rng: Rng, x: Array, y: Array) -> Array:
    """Dead leaves of elongated rectangles."""
    return _dead_leaves(rng, x, y, lambda u, v: np.maximum(np.abs(u), 1.6 * np.abs(v)))


def _dead_leaves(rng: Rng, x: Array, y: Array, norm: Callable[[Array, Array], Array]) -> Array:
    field = np.full_like(x, 0.5)
    for _ in range(70):
        u, v, angle = x - rng.uniform(-1.5, 1.5), y - rng.uniform(-1.5, 1.5), rng.uniform(0, np.pi)
        radius = (rng.uniform(0.9**-2, 0.12**-2)) ** -0.5
        inside = norm(u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)) < radius
        field = np.where(inside, rng.uniform() + 0.1 * np.cos(9 * u), field)
    return field


def _object(norm: Callable[[Array, Array, Array, Array], Array]) -> Pattern:
    """One bright or dark object on a background of another texture."""

    def pattern(rng: Rng, x: Array, y: Array) -> Array:
        u, v, size = x - rng.uniform(-0.5, 0.5), y - rng.uniform(-0.5, 0.5), rng.uniform(0.25, 0.6)
        inside = norm(u, v, np.hypot(u, v), np.arctan2(v, u)) < size
        background = 0.3 + 0.12 * fractal_noise(rng, len(x), rng.uniform(0.5, 1.8))
        return np.where(inside, rng.uniform(0.55, 1) + 0.1 * rng.normal() * u, background)

    return pattern


CLASSES: dict[str, Pattern] = {
    **{p.__name__: p for p in (gradient, clouds, grain, camouflage, grating, stripes, checker, brick, wood, rays)},
    **{p.__name__: p for p in (circles, dots, cells, strands, leaves, shards)},
    "disc": _object(lambda u, v, r, a: r),
    "ring": _object(lambda u, v, r, a: np.where((r > 0.22) & (r < 0.4), 0, 9)),
    "square": _object(lambda u, v, r, a: 1.15 * np.maximum(np.abs(u), np.abs(v))),
    "star": _object(lambda u, v, r, a: 0.8 * r / (0.75 + 0.35 * np.cos(5 * a))),
}


def draw_texture(rng: Rng, label: int, size: int) -> Array:
    """Draw one image of class number ``label``, uint8 of shape (3, size, size)."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    warp = rng.uniform(0, 0.08)
    x = axis[None, :] + warp * fractal_noise(rng, size, 2.0)
    y = axis[:, None] + warp * fractal_noise(rng, size, 2.0)
    angle, zoom = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(-0.3, 0.3))
    x, y = zoom * (np.cos(angle) * x + np.sin(angle) * y), zoom * (np.cos(angle) * y - np.sin(angle) * x)
    shade = list(CLASSES.values())[label](rng, x, y)
    if rng.random() < 0.5:
        shade = 1 - shade
    # Two colours of clearly different brightness, a third one drifting in slowly.
    dark, bright, third = rng.uniform(0, 1, (3, 3, 1, 1)) * [[[[0.5]]], [[[0.5]]], [[[1]]]] + [
        [[[0]]],
        [[[0.5]]],
        [[[0]]],
    ]
    drift = np.clip(rng.uniform(0, 0.5) * (0.5 + 0.5 * fractal_noise(rng, size, 1.8)), 0, 1)
    image = (dark + (bright - dark) * shade) * (1 - drift) + third * drift
    # Light from one side, a film over everything, the camera's blur and noise.
    image = image * (1 + rng.uniform(-0.35, 0.35) * axis[None, :] + rng.uniform(-0.35, 0.35) * axis[:, None])
    image = image + rng.uniform(0, 0.06) * fractal_noise(rng, size, 1.0)
    if rng.random() < 0.5:
        image = blur(image, rng.choice([0.4, 0.6, 0.8]))
    if rng.random() < 0.3:
        image = np.broadcast_to(image.mean(0), image.shape)
    image = image * rng.uniform(0.6, 1.2) + rng.normal(0, rng.uniform(0, 0.05), image.shape)
    return (255 * np.clip(image, 0, 1)).astype(np.uint8)
