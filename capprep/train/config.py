"""Every setting of a training run, each a command line option and a key of `capprep.toml`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from capprep.config import Config, option
from capprep.errors import ConfigError
from capprep.train.schedule import Schedule, parse

PRECISIONS = ("auto", "float32", "bfloat16", "float16")

ACTIVATION_NAMES = ("linear", "relu", "leakyrelu", "elu", "swish", "tanh", "sigmoid", "softsign", "mish")
INIT_NAMES = ("zero-out", "Normal", "XavierUniform", "XavierNormal", "KaimingUniform", "KaimingNormal")
# here and not in hypernetwork.py, which costs seconds to import where only `--help` is wanted

_CHANGE_NO_WEIGHT = ("save_every", "preview_every", "preview_prompt")


@dataclass(frozen=True)
class TrainConfig(Config):
    """How to train."""

    steps: int = option(20000, "Train for this many updates.", minimum=1, maximum=10_000_000, metavar="N")
    learn_rate: str = option(
        "5e-5:100, 5e-6:1500, 5e-7:10000, 5e-8:20000",
        "Learning rates, each with the step it lasts to.",
        flag="--learn-rate",
        metavar="SCHEDULE",
    )
    batch_size: int = option(1, "Learn from this many pictures in one step.", minimum=1, maximum=1024, metavar="N")
    layer_structure: str = option(
        "1, 2, 1", "Layer widths as multiples of the input's; the first and the last are 1.", metavar="LIST"
    )
    activation: str = option("linear", "Function between the layers.", choices=ACTIVATION_NAMES)
    weight_init: str = option(
        "zero-out", "How weights start; zero-out starts from exactly the base model.", choices=INIT_NAMES
    )
    layer_norm: str = option("none", "Normalise after every layer, or not at all.", choices=("none", "all"))
    widths: str = option("", "Only train these widths, such as '768, 320'; all if empty.", metavar="LIST")
    template: str = option(
        "",
        "Text file with one prompt a line, [filewords] and [name] filled in; '[filewords]' if empty.",
        metavar="FILE",
    )
    seed: int = option(0, "Same seed, same result.", minimum=0, maximum=2**32 - 1, metavar="N")
    save_every: int = option(500, "Save a checkpoint every so many steps.", minimum=1, metavar="N")
    preview_every: int = option(
        0, "Draw a preview every so many steps; 0 draws one at the end only.", minimum=0, metavar="N"
    )
    preview_prompt: str = option("", "What the preview shows; the first picture's text if empty.", metavar="TEXT")
    precision: str = option("auto", "Numbers the base model computes with.", choices=PRECISIONS)

    def __post_init__(self) -> None:
        """Check what a choice or a range cannot say."""
        super().__post_init__()
        self.schedule()
        self.layers()
        self.chosen_widths()

    def schedule(self) -> Schedule:
        """The learning rates by step, never more steps than asked for.

        The webui makes one update more where an item of its schedule ends exactly at the last step.
        """
        return parse(self.learn_rate, self.steps).up_to(self.steps)

    def layers(self) -> tuple[float, ...]:
        """The layer structure as numbers.

        Raises:
            ConfigError: It is not a list of positive numbers that starts and ends with 1.
        """
        wrong = ConfigError(
            f"layer_structure = {self.layer_structure!r} is not possible",
            "write positive numbers with commas, at least two, the first and the last 1, such as '1, 2, 1'",
        )
        try:
            layers = tuple(float(item) for item in self.layer_structure.split(","))
        except ValueError as error:
            raise wrong from error
        if len(layers) < 2 or layers[0] != 1 or layers[-1] != 1 or not all(0 < layer <= 64 for layer in layers):
            raise wrong
        return layers

    def chosen_widths(self) -> tuple[int, ...]:
        """The widths asked for in order, or () for all that the base model has.

        Raises:
            ConfigError: It is not a list of different positive whole numbers.
        """
        if not self.widths.strip():
            return ()
        wrong = ConfigError(
            f"widths = {self.widths!r} is not possible", "write different whole numbers with commas, such as '768, 320'"
        )
        try:
            widths = tuple(int(item) for item in self.widths.split(","))
        except ValueError as error:
            raise wrong from error
        if min(widths) < 1 or len(set(widths)) != len(widths):
            raise wrong
        return widths

    def learnt_from(self) -> dict[str, Any]:
        """The settings that change what is learnt, for the identity of a run."""
        return {name: value for name, value in asdict(self).items() if name not in _CHANGE_NO_WEIGHT}
