"""The caption fact: one sentence or several for the stored square, by BLIP."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from capprep.config import option
from capprep.errors import ConfigError
from capprep.facts import BLIP, PICTURE, sentences_to_json
from capprep.stage import Reader, Runtime, Stage, Value
from capprep.stages.squares import SquareReader, Squares

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Blip(Stage):
    """BLIP's caption, the same at every run: by beams, greedy with one beam, or drawn by chance from a seed."""

    name: ClassVar[str] = BLIP
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = (PICTURE,)

    weights: str = ""
    prompt: str = option(
        "",
        'Words the caption begins with and that are taken off again; the webui uses "a picture of ".',
        flag="--blip-prompt",
        metavar="TEXT",
    )
    num_beams: int = option(
        3, "Beams of the search; 1 is greedy and fastest.", flag="--beams", minimum=1, maximum=16, metavar="N"
    )
    candidates: int = option(
        1,
        "Sentences to make for each picture; the one that fits it best by the scores is written.",
        minimum=1,
        maximum=16,
        metavar="N",
    )
    min_new_tokens: int = option(
        5, "Shortest caption in tokens.", flag="--min-tokens", minimum=0, maximum=100, metavar="N"
    )
    max_new_tokens: int = option(
        30, "Longest caption in tokens.", flag="--max-tokens", minimum=1, maximum=200, metavar="N"
    )
    no_repeat_ngram_size: int = option(
        3,
        "No run of this many tokens comes twice in a caption; 0 for no such rule.",
        flag="--no-repeat-ngram",
        minimum=0,
        maximum=20,
        metavar="N",
    )
    repetition_penalty: float = option(
        1.1,
        "How much less likely words are that were said before; 1 for not at all.",
        minimum=1.0,
        maximum=5.0,
        metavar="X",
    )
    sample: bool = option(False, "Draw the words by chance instead of looking for the most likely ones.")
    top_p: float = option(
        0.9,
        "With --sample: draw from the likeliest words that have this probability together.",
        minimum=0.01,
        maximum=1.0,
        metavar="P",
    )
    temperature: float = option(
        1.0,
        "With --sample: below 1 likely words are drawn more often, above 1 less.",
        minimum=0.05,
        maximum=5.0,
        metavar="X",
    )
    seed: int = option(0, "With --sample: another seed, other captions.", minimum=0, maximum=2**63 - 1, metavar="N")
    dtype: str = option("float32", "Number format of the captioner and the matcher.", choices=DTYPES)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_new_tokens > self.max_new_tokens:
            raise ConfigError(
                f"min_new_tokens = {self.min_new_tokens} is over max_new_tokens = {self.max_new_tokens}",
                "lower --min-tokens or raise --max-tokens",
            )
        # what has no say in the captions must not put them out of date either
        silent = (
            {"num_beams": 1}
            if self.sample
            else {name: getattr(type(self), name) for name in ("top_p", "temperature", "seed")}
            | {"num_beams": max(self.num_beams, self.candidates)}
        )
        for name, value in silent.items():
            object.__setattr__(self, name, value)

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`."""
        from capprep.models.blip import BlipCaptioner, Decoding

        captioner = BlipCaptioner(runtime.needed_model, runtime.device, self.dtype)
        decoding = Decoding(**{field.name: getattr(self, field.name) for field in fields(Decoding)})

        def learn(squares: Squares) -> list[Value]:
            return [Value(sentences_to_json(said)) for said in captioner.candidates(squares, decoding)]

        return SquareReader(learn, runtime.device)
