"""The verdict on a whole set: do its texts fit at all?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capprep.agreement import set_verdict
from capprep.agreement.sets import FINE, LEAST, NO_INFORMATION, PRUNE, SAMPLE, UNDECIDED
from tests.agreement.drawing import drawn


def texts_of(tags_NM: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in tags_NM]


@pytest.mark.parametrize("pictures", [20, 50, 150])
def test_exchanged_texts_carry_no_information_and_true_ones_do(pictures: int) -> None:
    exchanged, true = [], []
    for seed in range(20):
        made = drawn(pictures, 30, 2.0, seed, carried=pictures // 4)
        texts = texts_of(made.tags_NM)
        moved = [*texts[1:], texts[0]]  # the pictures are in no order
        exchanged.append(set_verdict(made.similarity_NM, moved).kind)
        true.append(set_verdict(made.similarity_NM, texts).kind)
    assert exchanged.count(NO_INFORMATION) >= 19
    assert true.count(NO_INFORMATION) <= 1


def test_of_few_pictures_that_fit_their_texts_by_chance_nothing_else_is_said() -> None:
    texts = [[n] for n in range(10)]
    kinds = [set_verdict(np.random.default_rng(seed).normal(size=(10, 10)), texts).kind for seed in range(100)]
    assert kinds.count(NO_INFORMATION) + kinds.count(UNDECIDED) >= 95
    assert min(kinds.count(NO_INFORMATION), kinds.count(UNDECIDED)) > 5


def test_where_few_pictures_leave_it_open_neither_is_said() -> None:
    weak = [
        set_verdict(np.random.default_rng(seed).normal(size=(10, 10)) + 0.7 * np.eye(10), [[n] for n in range(10)])
        for seed in range(40)
    ]
    open_ = [verdict for verdict in weak if verdict.kind == UNDECIDED]
    assert len(open_) > 15
    assert all(verdict.effect is not None and verdict.effect.high >= 0.75 for verdict in open_)
    assert "look at the texts yourself" in open_[0].advice


def test_an_effect_that_is_certain_and_tiny_is_no_information() -> None:
    fit_NN = np.random.default_rng(0).normal(size=(600, 600)) + 0.25 * np.eye(600)
    verdict = set_verdict(fit_NN, [[n] for n in range(600)])
    assert verdict.effect is not None
    assert 0.5 < verdict.effect.low < verdict.effect.value < 0.6
    assert verdict.kind == NO_INFORMATION


def test_the_effect_is_the_share_of_other_texts_that_fit_less_well() -> None:
    # four pictures and captions each: its own fits best, but for the last, which two others fit better
    similarity_NR = np.eye(9) + 1e-3 * np.random.default_rng(0).random((9, 9))
    similarity_NR[8] = [0, 0, 0, 0, 0, 0, 2, 2, 1]
    zero = [0.0] * 9
    verdict = set_verdict(np.column_stack([similarity_NR, zero, zero]), [[n] for n in range(9)], reference=[9, 10])
    assert verdict.effect is not None
    assert verdict.compared == 9
    residual_NN = similarity_NR - similarity_NR.mean(0)
    shares = [(np.delete(residual_NN[n], n) < residual_NN[n, n]).mean() for n in range(9)]
    assert verdict.effect.value == pytest.approx(np.mean(shares))
    assert verdict.effect.low <= verdict.effect.value <= verdict.effect.high
    assert f"better than {100 * np.mean(shares):.0f} of 100 texts of other pictures" in verdict.reason


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.permutations(range(20)), st.lists(st.integers(0, 19), max_size=15))
def test_neither_order_nor_near_copies_change_the_effect(seed: int, order: list[int], copied: list[int]) -> None:
    made = drawn(20, 12, 1.5, seed)
    texts = texts_of(made.tags_NM)
    before = set_verdict(made.similarity_NM, texts)
    rows = [*order, *copied]
    after = set_verdict(made.similarity_NM[rows], [texts[n] for n in rows], groups_N=np.array(rows))
    assert after.effect == before.effect
    assert after.compared == before.compared


def test_what_to_do_is_said_in_words() -> None:
    made = drawn(40, 20, 4.0, 0, carried=10)
    texts = texts_of(made.tags_NM)
    fine = set_verdict(made.similarity_NM, texts)
    assert (fine.kind, fine.advice) == (FINE, "the texts fit; nothing needs to be done")
    pruned = set_verdict(made.similarity_NM, texts, contradicted=["hat", "night"], wrong_cells=1)
    assert (pruned.kind, pruned.prune) == (PRUNE, ("hat", "night"))
    assert pruned.advice == (
        "prune 2 tags that the pictures contradict: hat, night; "
        "look at 1 place where a tag seems wrong on a single picture"
    )
    many = set_verdict(made.similarity_NM, texts, contradicted=[f"tag {n}" for n in range(30)])
    assert many.advice.endswith("tag 11, ...")
    noise = set_verdict(drawn(40, 20, 0.0, 1).similarity_NM, texts, contradicted=["hat"])
    assert noise.kind == NO_INFORMATION
    assert "write your own" in noise.advice


def test_of_few_pictures_or_of_one_text_for_all_nothing_is_said() -> None:
    similarity_NR = np.eye(30)
    few = set_verdict(similarity_NR, [[n] for n in range(LEAST - 1)])
    same = set_verdict(similarity_NR, [[3]] * 30)
    silent = set_verdict(similarity_NR, [[]] * 30)
    copies = set_verdict(similarity_NR, [[n] for n in range(30)], groups_N=np.arange(30) // 10)
    assert {verdict.kind for verdict in (few, same, silent, copies)} == {UNDECIDED}
    assert same.reason == "too few pictures with texts of their own to compare: 0, at least 8 are needed"
    assert all(verdict.effect is None for verdict in (few, same, silent, copies))


def test_of_very_many_pictures_a_part_is_compared() -> None:
    made = drawn(2 * SAMPLE, 20, 1.0, 0, carried=400)
    verdict = set_verdict(made.similarity_NM, texts_of(made.tags_NM))
    assert verdict.effect is not None
    assert verdict.compared <= SAMPLE
    assert verdict.effect.high - verdict.effect.low < 0.05
