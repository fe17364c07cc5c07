"""What there is to say of a set, noted while its pictures pass by: they need not be held for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from capprep.agreement import Verdict
from capprep.filewords.artefacts import Artefact
from capprep.select import Example


@dataclass
class Summary:
    """Counts, and what is to be said of single pictures, by name.

    Attributes:
        pictures: How many there are, without mirrored copies.
        texts: How many have a text.
        flaws: What a person should look at.
        enlarged: How many times a picture was enlarged.
        chosen: Why a picture is among the best.
        remarks: What there is to say of its text.
        artefacts: What is wrong with its caption; see `Example.artefacts`.
        by_hand: The pictures whose text a person wrote.
        captions: The verdict on each caption that was judged.
        tags: The verdict on each tag that is in a text, or None where it was not judged.
    """

    pictures: int = 0
    texts: int = 0
    flaws: dict[str, tuple[str, ...]] = field(default_factory=dict)
    enlarged: dict[str, float] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    artefacts: dict[str, tuple[Artefact, ...]] = field(default_factory=dict)
    by_hand: list[Example] = field(default_factory=list)
    captions: list[Verdict] = field(default_factory=list)
    tags: dict[str, Verdict | None] = field(default_factory=dict)

    @classmethod
    def of(cls, examples: Iterable[Example]) -> Summary:
        """Of pictures at hand."""
        summary = cls()
        for _ in summary.noting(examples):
            pass
        return summary

    def noting(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The same pictures one by one, each noted as it goes by."""
        for example in examples:
            self._note(example)
            yield example

    def _note(self, example: Example) -> None:
        self.pictures += 1
        self.texts += example.text is not None
        if example.flaws:
            self.flaws[example.name] = example.flaws
        if example.picture.scale < 1:
            self.enlarged[example.name] = 1 / example.picture.scale
        if example.chosen:
            self.chosen[example.name] = example.chosen
        if example.remarks:
            self.remarks[example.name] = example.remarks
        if example.artefacts:
            self.artefacts[example.name] = example.artefacts
        if example.edited:
            self.by_hand.append(example)
        if example.caption_verdict is not None:
            self.captions.append(example.caption_verdict)
        for tag in example.tags:
            if tag.kept:
                self.tags[tag.text] = tag.verdict
