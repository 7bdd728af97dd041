"""Chance that needs no state: numbers and permutations that follow from a seed and a place."""

from __future__ import annotations

import numpy as np

_MASK = (1 << 64) - 1


def draw(*keys: int) -> int:
    """A 64-bit number that looks random and follows from the keys alone (splitmix64)."""
    state = 0
    for key in keys:
        # int(): NumPy's integers overflow where Python's grow.
        state = (state + int(key) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def chance(*keys: int) -> float:
    """A number in [0, 1) that follows from the keys."""
    return (draw(*keys) >> 11) / (1 << 53)  # 53 bits: what a float holds without rounding to 1


def generator(*keys: int) -> np.random.Generator:
    """A generator whose stream follows from the keys."""
    return np.random.Generator(np.random.PCG64(draw(*keys)))


def shuffled(index: int, size: int, *keys: int) -> int:
    """The place of `index` in a permutation of range(size) that follows from the keys.

    Multiplying by an odd number and folding the high bits onto the low ones permute the numbers
    below a power of two; walking on until the number is below `size` makes it range(size).
    """
    if not 0 <= index < size:
        raise ValueError(f"index must lie in [0, {size}), got {index}")
    bits = max((size - 1).bit_length(), 2)
    mask, fold = (1 << bits) - 1, bits // 2
    code = draw(*keys)
    while True:
        for turn in (0, 13, 26):
            index = (index * (code >> turn | 1) + (code >> turn + 24)) & mask
            index ^= index >> fold
        if index < size:
            return index
