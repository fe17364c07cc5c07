"""Sets of known truth: similarities with main effects of pictures and texts, and carriers that are shifted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Drawn:
    """A set of N pictures and M tags.

    Attributes:
        similarity_NM: With main effects of pictures and texts.
        truth_NM: Which tags are true.
        tags_NM: Which tags are given.
    """

    similarity_NM: NDArray[np.float64]
    truth_NM: NDArray[np.bool_]
    tags_NM: NDArray[np.bool_]


def drawn(pictures: int, tags: int, effect: float, seed: int, wrong: float = 0.0, carried: int = 6) -> Drawn:
    """Tags that are true of `carried` pictures on average; some of those given stand at a wrong picture.

    Args:
        pictures: How many.
        tags: How many.
        effect: In standard deviations of the noise.
        seed: Of all draws.
        wrong: Share of the given tags that are moved to a picture of which they are not true.
        carried: Mean number of pictures of which a tag is true.
    """
    rng = np.random.default_rng(seed)
    truth_NM = rng.random((pictures, tags)) < carried / pictures
    tags_NM = truth_NM.copy()
    for n, m in np.argwhere(truth_NM):
        if rng.random() < wrong:
            tags_NM[n, m] = False
            tags_NM[rng.choice(np.flatnonzero(~truth_NM[:, m])), m] = True
    main_NM = rng.normal(size=(pictures, 1)) + 2 * rng.normal(size=(1, tags))
    return Drawn(rng.normal(size=(pictures, tags)) + main_NM + effect * truth_NM, truth_NM, tags_NM)
