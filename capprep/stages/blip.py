"""The caption fact: a sentence for the stored square, by BLIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from capprep.config import option
from capprep.errors import ConfigError
from capprep.facts import BLIP, PICTURE
from capprep.stage import Reader, Runtime, Stage, Value
from capprep.stages.squares import SquareReader, Squares

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Blip(Stage):
    """BLIP's caption, the same at every run: beam search, or greedy with one beam."""

    name: ClassVar[str] = BLIP
    version: ClassVar[int] = 1
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
    min_new_tokens: int = option(
        5, "Shortest caption in tokens.", flag="--min-tokens", minimum=0, maximum=100, metavar="N"
    )
    max_new_tokens: int = option(
        30, "Longest caption in tokens.", flag="--max-tokens", minimum=1, maximum=200, metavar="N"
    )
    no_repeat_ngram_size: int = 3
    repetition_penalty: float = 1.1
    dtype: str = option("float32", "Number format of the captioner and the matcher.", choices=DTYPES)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_new_tokens > self.max_new_tokens:
            raise ConfigError(
                f"min_new_tokens = {self.min_new_tokens} is over max_new_tokens = {self.max_new_tokens}",
                "lower --min-tokens or raise --max-tokens",
            )

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`."""
        from capprep.models.blip import BlipCaptioner

        captioner = BlipCaptioner(runtime.needed_model, runtime.device, self.dtype)

        def learn(squares: Squares) -> list[Value]:
            captions = captioner.captions(
                squares,
                prompt=self.prompt,
                num_beams=self.num_beams,
                min_new_tokens=self.min_new_tokens,
                max_new_tokens=self.max_new_tokens,
                no_repeat_ngram_size=self.no_repeat_ngram_size,
                repetition_penalty=self.repetition_penalty,
            )
            return [Value({"caption": caption}) for caption in captions]

        return SquareReader(learn, runtime.device)
