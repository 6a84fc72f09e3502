"""Smooth building blocks of the phantoms' drawings: edges, round bodies, noise and blur on square arrays."""

from functools import lru_cache

import numpy as np

Array = np.ndarray


def edge(distance: Array, width: float) -> Array:
    """1 where a signed distance is positive, 0 where it is negative, a ramp of the given width in between."""
    return np.clip(distance / width + 0.5, 0, 1)


def half_round(q: Array) -> Array:
    """Thickness of an ellipsoid: sqrt(1 - q) where q < 1, else 0."""
    return np.asarray(np.sqrt(np.maximum(1 - q, 0)))


def fractal_noise(rng: np.random.Generator, size: int, slope: float) -> Array:
    """Noise (size, size) of zero mean and unit variance; amplitude falls with frequency to the power ``slope``."""
    white = np.fft.rfft2(rng.standard_normal((size, size), np.float32))
    field = np.fft.irfft2(white * _spectrum(size, slope), s=(size, size)).astype(np.float32)
    return np.asarray(field / field.std())


def blur(field: Array, sigma: float) -> Array:
    """Gaussian blur of square fields (..., size, size), sigma in pixels; the kernel is renormalised at the borders."""
    kernel = _blur_matrix(field.shape[-1], sigma)
    return np.asarray(kernel @ field @ kernel.T)


@lru_cache(maxsize=16)
def _spectrum(size: int, slope: float) -> Array:
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    frequency[0, 0] = np.inf
    return np.asarray((frequency**-slope).astype(np.float32))


@lru_cache(maxsize=16)
def _blur_matrix(size: int, sigma: float) -> Array:
    distance = np.arange(size) - np.arange(size)[:, None]
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray((kernel / kernel.sum(1, keepdims=True)).astype(np.float32))
