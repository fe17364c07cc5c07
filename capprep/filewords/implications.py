"""Which tags say nothing that another tag does not say: a table of kinds, and the rule of the last words."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping

_KINDS = """
very long hair <- absurdly long hair
short hair <- bob cut, pixie cut
braid <- twin braids, braided ponytail, multiple braids
twintails <- twin drills
animal ears <- cat ears, dog ears, fox ears, rabbit ears, wolf ears, bear ears, mouse ears, horse ears, cow ears
animal ears <- tiger ears, lion ears, raccoon ears, sheep ears, squirrel ears, goat ears, deer ears, panda ears
multiple girls <- 2girls, 3girls, 4girls, 5girls, 6+girls
multiple boys <- 2boys, 3boys, 4boys, 5boys, 6+boys
multiple others <- 2others, 3others, 4others, 5others, 6+others
smile <- grin, smirk
crying <- crying with eyes open
tears <- tears of joy, teardrop
sitting <- seiza, wariza, indian style, sitting on chair, sitting on bed, sitting on lap, sitting on person
lying <- on back, on side, on stomach
holding <- holding weapon, holding sword, holding gun, holding knife, holding book, holding cup, holding phone
holding <- holding food, holding umbrella, holding flower, holding bag, holding staff, holding microphone, holding fruit
weapon <- sword, gun, knife, dagger, spear, polearm, axe, scythe, bow (weapon), lance, halberd, mace, hammer (weapon)
sword <- katana, rapier, greatsword, wakizashi, broadsword
gun <- handgun, rifle, shotgun, revolver, pistol
instrument <- guitar, violin, piano, drum, flute, trumpet, saxophone, cello, harp, accordion, keyboard (instrument)
shirt <- t-shirt, blouse, sweatshirt
dress <- sundress, nightgown
skirt <- miniskirt, microskirt
pants <- jeans, sweatpants
jacket <- blazer
school uniform <- serafuku, gakuran
swimsuit <- bikini
one-piece swimsuit <- school swimsuit
japanese clothes <- kimono, hakama, haori, happi, miko
kimono <- yukata, furisode
chinese clothes <- china dress, hanfu
hat <- beret, baseball cap, peaked cap, mob cap, fedora, bonnet, sombrero, tricorne, beanie, nurse cap
shoes <- loafers, sneakers, mary janes, uwabaki
socks <- kneehighs
hair ornament <- hairclip, hairpin, hair flower, hair scrunchie, hair bobbles, hair stick, kanzashi
jewelry <- necklace, earrings, bracelet, ring, brooch, anklet, pendant
earrings <- single earring
simple background <- white background, black background, grey background, blue background, pink background
simple background <- red background, yellow background, green background, purple background, brown background
simple background <- orange background, beige background, aqua background, two-tone background
night <- night sky
cloud <- cloudy sky
indoors <- bedroom, classroom, kitchen, bathroom, living room
furniture <- chair, table, bed, couch, desk, bookshelf
animal <- cat, dog, rabbit, bird, horse, fox, wolf, bear, cow, pig, sheep, goat, deer, mouse, squirrel, tiger, lion
animal <- elephant, monkey, frog, snake, turtle, fish, bug
cat <- kitten
dog <- puppy
bird <- crow, owl, duck, chicken, penguin, parrot, swan, eagle, pigeon, sparrow, chick, seagull
fish <- goldfish, shark, koi
bug <- insect
insect <- butterfly, bee, ladybug, dragonfly, beetle, ant
flower <- rose, sunflower, tulip, hydrangea, daisy, lotus, camellia, hibiscus, lily (flower), dandelion, bouquet
food <- fruit, vegetable, cake, cupcake, bread, sandwich, hamburger, pizza, sushi, onigiri, noodles, cookie, ice cream
food <- chocolate, candy, doughnut, macaron, pancake, taiyaki, dango, curry, egg (food), meat, popsicle
fruit <- apple, banana, strawberry, orange (fruit), watermelon, grapes, cherry, peach, lemon (fruit), pineapple
vegetable <- carrot, tomato, cucumber, cabbage, pumpkin
noodles <- ramen, udon
candy <- lollipop
drink <- tea, coffee, juice, milk
alcohol <- beer, wine, sake
vehicle <- aircraft, watercraft, bicycle, train
motor vehicle <- car, truck, bus, motorcycle, tank
aircraft <- airplane, helicopter
watercraft <- boat, ship, submarine, yacht
cup <- mug, teacup, wine glass
"""

_OTHER_THINGS = frozenset(
    "hot dog;prairie dog;teddy bear;gummy bear;water bear;guinea pig;sea lion;sea horse;rocking horse;"
    "red panda;computer mouse;playboy bunny;paper crane;snow angel;sand castle;bouncy castle;hair flower;"
    "hair bun;double bun;finger gun;bubble gun;glue gun;traffic light;cable car;rice ball;boxing ring;"
    "key ring;nose ring;smoke ring;swim ring;candy cane;bottle cap;ferris wheel;steering wheel;sleeping bag;"
    "punching bag;bean bag;power plant;speech bubble;thought bubble;speech balloon;hot air balloon;"
    "air balloon;shooting star;rock star;sea star;sailor collar;fish cake;cotton candy;rock candy;"
    "table tennis;butterfly net;spider lily;piano keys;hair tie;french horn;head wings;rubber duck;"
    "sea cucumber;adam's apple;custard apple;jelly bean;peanut butter;cream puff;blood orange".split(";")
)
"""Tags that are no kind of what their last words name."""

_NOT_OF_A_KIND = frozenset(
    "no without not non missing fake faux toy stuffed plush inflatable origami imminent implied alternate former "
    "unworn removing adjusting almost before after anti drawn mock imaginary invisible".split()
)
"""Words after which the rest is not there, or not as such."""

_LINKS = frozenset(
    "on in at of to with from by over under behind between against through around into out off and or another's own "
    "beside before after as for up down back near across vs the a an his her their".split()
)
"""Words before an end that is a place, an owner or another thing and not what the tag is a kind of."""


def _table(text: str) -> Mapping[str, frozenset[str]]:
    """A tag to the tags it implies, from lines `general <- special, special`."""
    table: dict[str, set[str]] = {}
    for line in text.strip().splitlines():
        general, _, specials = line.partition(" <- ")
        for special in specials.split(", "):
            table.setdefault(special, set()).add(general)
    return {special: frozenset(generals) for special, generals in table.items()}


IMPLIES = _table(_KINDS)
"""What a tag says besides: "katana" to "sword". One step; see `implied` for all."""


def ends(key: str) -> Iterable[str]:
    """The last words of a tag of which it is a kind: "big white shirt" to "white shirt" and "shirt".

    Whole words only, so that "shirt" is no end of "t-shirt" here; not behind a word such as "on" or "no"; not for
    things that are only called so, such as "hot dog".
    """
    words = key.split(" ")
    for n in range(1, len(words)):
        if words[n - 1] in _NOT_OF_A_KIND or not _LINKS.isdisjoint(words[n - 1 : n + 1]):
            return
        if " ".join(words[n - 1 :]) in _OTHER_THINGS:
            return
        yield " ".join(words[n:])


@functools.lru_cache(maxsize=4096)
def implied(key: str) -> frozenset[str]:
    """Everything a tag says besides itself, by the table and by its ends."""
    found: set[str] = set()
    waiting = [key]
    while waiting:
        # the ends of an end are among these already
        kinds = {each := waiting.pop(), *ends(each)}
        found |= kinds
        waiting.extend({general for kind in kinds for general in IMPLIES.get(kind, ())} - found)
    return frozenset(found - {key})


def redundant(keys: Collection[str]) -> dict[str, str]:
    """The tags that others of the same picture imply, each with one that does and is itself implied by none.

    Args:
        keys: See `words.key`; of general tags only, since the last words of a name are no kind.
    """
    present = frozenset(keys)
    told = {each: implied(each) & present for each in sorted(present)}
    gone = frozenset().union(*told.values())
    return {each: by for by, all_ in told.items() if by not in gone for each in sorted(all_)}
