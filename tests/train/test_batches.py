from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from capprep.train.batches import draw, generator_of

SHAPE = (4, 8, 8)


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 5))
def test_every_picture_is_seen_once_in_every_epoch(count: int, batch_size: int, seed: int) -> None:
    seen = [
        number
        for step in range(3 * count)
        for number in draw(seed, step, count=count, batch_size=batch_size, latent_shape=(1,)).pictures
    ]
    for first in range(0, len(seen), count):
        assert sorted(seen[first : first + count]) == list(range(count))


def test_epochs_have_different_orders() -> None:
    orders = {draw(0, step, count=50, batch_size=50, latent_shape=(1,)).pictures for step in range(5)}
    assert len(orders) == 5


def test_the_epoch_is_how_often_the_set_was_seen_before() -> None:
    assert [draw(0, step, count=5, batch_size=2, latent_shape=(1,)).epoch for step in range(6)] == [0, 0, 0, 1, 1, 2]


def test_a_step_draws_the_same_whenever_it_is_asked_for_and_another_step_another() -> None:
    first, again = (draw(3, 17, count=5, batch_size=2, latent_shape=SHAPE) for _ in range(2))
    other = draw(3, 18, count=5, batch_size=2, latent_shape=SHAPE)
    assert torch.equal(first.noise_BCHW, again.noise_BCHW)
    assert torch.equal(first.timesteps_B, again.timesteps_B)
    assert not torch.equal(first.noise_BCHW, other.noise_BCHW)


def test_the_global_random_state_has_no_part_in_it() -> None:
    before = torch.get_rng_state()
    draw(0, 0, count=5, batch_size=2, latent_shape=SHAPE)
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_is_standard_normal_and_timesteps_are_uniform() -> None:
    noise = torch.cat([draw(0, step, count=1, batch_size=8, latent_shape=SHAPE).noise_BCHW for step in range(50)])
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    times = torch.cat([draw(0, step, count=1, batch_size=64, latent_shape=(1,)).timesteps_B for step in range(200)])
    assert times.min() == 0
    assert times.max() == 999
    assert abs(times.float().mean() - 499.5) < 15


def test_purposes_do_not_share_numbers() -> None:
    left, right = (torch.rand(4, generator=generator_of(0, purpose)) for purpose in ("init", "template"))
    assert not torch.equal(left, right)
