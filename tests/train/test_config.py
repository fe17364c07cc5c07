from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

import pytest

from capprep.config import options
from capprep.errors import ConfigError
from capprep.train.config import ACTIVATION_NAMES, TrainConfig
from capprep.train.hypernetwork import ACTIVATIONS


def test_the_defaults_are_the_guides() -> None:
    config = TrainConfig()
    assert config.steps == 20000
    assert config.schedule().end == 20000
    assert config.layers() == (1, 2, 1)
    assert config.chosen_widths() == ()


def test_every_setting_is_an_option_with_one_sentence_of_help() -> None:
    described = {field.name: option for field, option in options(TrainConfig)}
    assert set(described) == {field.name for field in dataclasses.fields(TrainConfig)}
    assert all(re.fullmatch(r"[A-Z].*\.", option.help) for option in described.values())


def test_every_activation_offered_can_be_built() -> None:
    assert set(ACTIVATION_NAMES) == set(ACTIVATIONS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("learn_rate", "fast"),
        ("layer_structure", "1"),
        ("layer_structure", "1, two, 1"),
        ("layer_structure", "2, 1"),
        ("layer_structure", "1, 0, 1"),
        ("layer_structure", "1, nan, 1"),
        ("activation", "gelu"),
        ("weight_init", "normal"),
        ("layer_norm", "last"),
        ("widths", "320, 320"),
        ("widths", "big"),
        ("widths", "0"),
        ("seed", -1),
        ("save_every", 0),
        ("preview_every", -1),
        ("precision", "int8"),
    ],
)
def test_a_bad_value_fails_when_the_settings_are_built_naming_field_and_value(field: str, value: object) -> None:
    with pytest.raises(ConfigError) as error:
        TrainConfig(**{field: value})
    assert field in error.value.message
    assert str(value) in error.value.message
    assert error.value.hint


def test_when_to_save_and_what_to_preview_is_no_part_of_what_is_learnt() -> None:
    assert TrainConfig().learnt_from() == TrainConfig(save_every=7, preview_every=3, preview_prompt="x").learnt_from()
    assert TrainConfig().learnt_from() != TrainConfig(seed=1).learnt_from()


def test_settings_are_known_without_loading_torch() -> None:
    code = "import sys, capprep.train.config; sys.exit(bool({'torch', 'diffusers', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
