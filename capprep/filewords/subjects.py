"""What kinds of things words speak of: people, animals, buildings; and the small words that speak of nothing."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from capprep.filewords.implications import ends, implied
from capprep.filewords.kinds import PEOPLE, feature
from capprep.filewords.prompts import singular

STOP_WORDS = frozenset(
    "a about above across after against all along also among an and another any are around as at be been before behind "
    "being below beneath beside between beyond both but by can could did do does down each either every for from had "
    "has have he her here hers him his how i if in inside into is it it's its itself just like me more most my near "
    "next of off on onto or other our out outside over own per she so some such than that the their them then there "
    "these they this those through to too toward towards under underneath until up upon very via was we were what when "
    "where which while who whose will with within would you your".split()
)
"""English words that carry no subject; "no" and "without" are none of them, since they turn what follows around."""

_KINDS = {
    "people": "person man woman girl boy child kid baby lady gentleman guy human character king queen princess prince "
    "knight warrior soldier wizard witch hero heroine dancer nurse doctor farmer worker player singer musician couple "
    "crowd bride mother father sister brother samurai ninja pirate maid elf student teacher chef astronaut rider "
    "someone people",
    "animals": "animal pet creature beast kitten puppy giraffe zebra camel kangaroo koala whale dolphin octopus crab "
    "lizard crocodile hamster otter dragon dinosaur unicorn pony lamb calf",
    "buildings and streets": "city cityscape town village street road building skyscraper tower house castle church "
    "temple bridge skyline alley architecture ruin cathedral palace shop store market station lighthouse cottage hut "
    "barn rooftop downtown facade farmhouse cabin windmill",
    "landscapes": "landscape mountain hill forest sea ocean lake river beach desert field valley cliff island "
    "waterfall meadow jungle coast canyon glacier volcano swamp countryside seaside",
    "rooms": "room bedroom kitchen bathroom classroom office interior indoors hallway corridor",
    "plants": "plant tree flower grass bush garden rose leaf mushroom cactus",
    "vehicles": "vehicle car truck bus motorcycle spaceship rocket tram subway carriage ferry canoe sailboat taxi",
    "food": "food drink alcohol meal dish soup dessert breakfast",
    "clothes": "clothes clothing shirt dress skirt pants jacket coat hat cap shoe sock boot scarf glove uniform kimono "
    "swimsuit armor armour cape robe suit sweater hoodie jeans",
    "weapons": "weapon shield cannon",
    "furniture": "furniture sofa lamp wardrobe cupboard",
    "musical instruments": "instrument",
}
"""The kinds that prompts and sets are compared by, each with words for it; what `implied` says of others counts too."""

_BY_WORD = {word: kind for kind, listed in _KINDS.items() for word in listed.split()}
KINDS = tuple(_KINDS)


def runs(tokens: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words of a piece without the small ones, cut where those stood.

    Args:
        tokens: See `prompts.tokens`.
    """
    run: list[str] = []
    for token in (*tokens, "a"):
        if token not in STOP_WORDS:
            run.append(token)
        elif run:
            yield tuple(run)
            run = []


@functools.lru_cache(maxsize=4096)
def kinds_in(tokens: tuple[str, ...]) -> frozenset[str]:
    """The kinds of things that a piece speaks of; of what it says is not there, or only so called, none.

    Args:
        tokens: See `prompts.tokens`.
    """
    if _of_people(" ".join(tokens)):
        return frozenset({"people"})
    found: set[str] = set()
    for run in runs(tokens):
        place = 0
        while place < len(run):
            pair = " ".join(run[place : place + 2])
            # "cat ears" are a feature of a person, and a "hot dog" is no dog
            known = _of_people(pair) or (" " in pair and not any(ends(pair)))
            found |= ({"people"} if _of_people(pair) else set()) if known else _kinds(run[place])
            place += 2 if known and " " in pair else 1
    return frozenset(found)


def _of_people(key: str) -> bool:
    """True for how many people there are, and for features of a body that are told by more than one word."""
    return (key in PEOPLE and key != "no humans") or (" " in key and bool(feature(key)))


@functools.lru_cache(maxsize=4096)
def _kinds(word: str) -> frozenset[str]:
    named = {word, singular(word)}
    return frozenset(_BY_WORD[each] for each in named.union(*map(implied, named)) if each in _BY_WORD)
