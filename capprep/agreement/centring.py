"""Vectors to comparable numbers: what is a picture's or a text's alone is taken out, and near-copies are one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.integer]

# N pictures, M texts, R texts of reference, U units (pictures, near-copies as one), D numbers of a vector

DIGITS = 10
"""Of the largest number; what is finer is rounding's, and must not break a tie."""


def unit(vectors_ND: Sequence[NDArray[np.float32]]) -> Floats:
    """Vectors stacked and scaled to length 1, shape (N, D)."""
    stacked_ND = np.stack([np.asarray(vector, dtype=np.float64) for vector in vectors_ND])
    length_N1 = np.linalg.norm(stacked_ND, axis=1, keepdims=True)
    unit_ND: Floats = stacked_ND / np.maximum(length_N1, np.finfo(np.float64).tiny)
    return unit_ND


def best_text(image_D: NDArray[np.floating], texts_ND: NDArray[np.floating]) -> int:
    """Which of N texts fits a picture best, by the product of their unit vectors; of equal ones the first.

    Not centred by the other pictures: the answer must not change with the set.
    """
    image_1D = unit([np.asarray(image_D, dtype=np.float32)])
    texts_ND = unit(list(np.asarray(texts_ND, dtype=np.float32)))
    # finer differences are rounding's
    return int(np.argmax((texts_ND @ image_1D[0]).round(6)))


def distinct(vectors_RD: NDArray[np.floating]) -> NDArray[np.intp]:
    """Which of R texts to take for a reference: of those that the model cannot tell apart, the first.

    A model that does not know most words of a vocabulary gives them one vector. Counted as often as there are such
    words, it would be most of every picture's mean: on the drawn world that cost a third of the planted errors.

    Args:
        vectors_RD: Unit vectors of the texts.
    """
    # a billionth would tell apart what differs by its place in a batch alone
    _, first = np.unique(np.asarray(vectors_RD, dtype=np.float64).round(5), axis=0, return_index=True)
    return np.sort(first)


def centred(similarity_NM: NDArray[np.floating], reference_NR: NDArray[np.floating] | None = None) -> Floats:
    """Similarity with what belongs to a picture alone or to a text alone taken out.

    Some pictures score high with every text and some texts with every picture. Taking out each picture's
    mean over a reference vocabulary, then each text's mean over the pictures, leaves what the two have with
    each other. A reference wider than the texts in question keeps that stable where those are few. Means and
    not medians: on the drawn world with planted errors medians were no better at any size of the set.

    Args:
        similarity_NM: N pictures by M texts.
        reference_NR: The same pictures by R texts, of which the picture means are taken; `similarity_NM` if None.
    """
    s_NM = np.asarray(similarity_NM, dtype=np.float64)
    r_NR = s_NM if reference_NR is None else np.asarray(reference_NR)
    # one text is no vocabulary: its mean would take out all there is
    picture_N1 = r_NR.mean(axis=1, keepdims=True, dtype=np.float64) if r_NR.shape[1] > 1 else 0.0
    centred_NM = s_NM - picture_N1
    if len(centred_NM):
        centred_NM -= centred_NM.mean(axis=0, keepdims=True)
    largest = max(float(centred_NM.max(initial=0.0)), -float(centred_NM.min(initial=0.0)))
    if largest > 0:
        step = 10.0 ** (np.ceil(np.log10(largest)) - DIGITS)
        centred_NM /= step
        np.rint(centred_NM, out=centred_NM)
        centred_NM *= step
    return centred_NM


@dataclass(frozen=True)
class Units:
    """Pictures as independent units: near-copies say the same thing twice, and count once.

    Attributes:
        of_N: The unit of each picture, 0 to U - 1.
        size_U: How many pictures each is of.
    """

    of_N: NDArray[np.intp]
    size_U: NDArray[np.intp]

    @classmethod
    def of(cls, pictures: int, groups_N: Labels | None = None) -> Units:
        """From labels, equal for pictures that are near-copies of each other; each its own unit if None."""
        if groups_N is None:
            return cls(np.arange(pictures), np.ones(pictures, dtype=np.intp))
        if len(groups_N) != pictures:
            raise ValueError(f"{len(groups_N)} labels for {pictures} pictures")
        _, of_N, size_U = np.unique(groups_N, return_inverse=True, return_counts=True)
        return cls(of_N, size_U)

    @property
    def count(self) -> int:
        """How many units there are."""
        return len(self.size_U)

    def means(self, values_NM: Floats) -> Floats:
        """The mean of each unit's pictures, shape (U, M)."""
        if self.count == len(self.of_N) and np.array_equal(self.of_N, np.arange(self.count)):
            return values_NM
        order_N = np.argsort(self.of_N, kind="stable")
        starts_U = np.concatenate([[0], np.cumsum(self.size_U)[:-1]])
        means_UM: Floats = np.add.reduceat(values_NM[order_N], starts_U, axis=0) / self.size_U[:, None]
        return means_UM

    def carriers(self, carriers_NM: Flags) -> Flags:
        """Which units carry a text: those of which at least half of the pictures do, shape (U, M)."""
        if self.count == len(self.of_N):
            carriers_UM: Flags = np.empty_like(carriers_NM)
            carriers_UM[self.of_N] = carriers_NM
            return carriers_UM
        return np.asarray(self.means(carriers_NM.astype(np.float64)) >= 0.5)
