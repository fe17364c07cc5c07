"""What kind of thing a tag speaks of: people, features of a body, the medium, the file."""

from __future__ import annotations

from collections.abc import Collection

COLOURS = tuple(
    "black;blonde;blue;light blue;dark blue;brown;light brown;dark brown;green;light green;dark green;grey;silver;"
    "orange;pink;purple;light purple;red;dark red;white;aqua;yellow".split(";")
)
"""Colours of hair and eyes."""

_COUNTED = tuple(
    (f"1{one}", f"multiple {one}s", *(f"{n}{one}s" for n in (2, 3, 4, 5, "6+"))) for one in ("girl", "boy", "other")
)
ONE = frozenset(names[0] for names in _COUNTED)
"""Exactly one person of a kind."""

MANY = frozenset(name for names in _COUNTED for name in names[1:])
"""Two and more of a kind."""

_SEVERAL = MANY | {"couple", "group", "crowd", "everyone", "solo focus", "multiple views", "multiple persona", "twins"}
_SEVERAL |= {"siblings", "sisters", "brothers", "hetero", "yuri", "yaoi", "mother and daughter", "dual persona"}

PEOPLE = ONE | _SEVERAL | {"solo", "no humans"}
"""How many people there are."""


def coloured(part: str) -> frozenset[str]:
    """A part of the body in every colour: "hair" to "black hair" and so on."""
    return frozenset(f"{colour} {part}" for colour in COLOURS)


_LENGTHS = ("very short hair", "short hair", "medium hair", "long hair", "very long hair", "absurdly long hair")
_ANIMALS = (
    "animal bear bat bird cat cow deer dog dragon fish fox goat horse lion monkey mouse panda pig rabbit raccoon "
    "sheep shark snake squirrel tiger wolf demon devil angel fairy"
)

HAIR = coloured("hair") | frozenset(_LENGTHS) | frozenset(
    "bald;blunt bangs;bangs;swept bangs;parted bangs;asymmetrical bangs;choppy bangs;curtained hair;ponytail;"
    "high ponytail;low ponytail;side ponytail;short ponytail;folded ponytail;twintails;low twintails;short twintails;"
    "two side up;one side up;braid;single braid;twin braids;side braid;braided ponytail;french braid;crown braid;"
    "hair bun;single hair bun;double bun;bob cut;inverted bob;hime cut;bowl cut;pixie cut;undercut;mohawk;afro;"
    "dreadlocks;pompadour;drill hair;twin drills;ringlets;curly hair;wavy hair;straight hair;spiked hair;hair flaps;"
    "hair intakes;hair between eyes;hair over one eye;hair over eyes;ahoge;antenna hair;sidelocks;asymmetrical hair;"
    "multicolored hair;two-tone hair;gradient hair;streaked hair;split-color hair;colored inner hair;colored tips;"
    "short hair with long locks;half updo;widow's peak;big hair;forehead".split(";")
)  # fmt: skip
"""Colour, length and cut of hair. What hair does ("wet hair") and wears ("hair ribbon") is none of it."""

EYES = coloured("eyes") | frozenset(
    "heterochromia;multicolored eyes;two-tone eyes;gradient eyes;amber eyes;slit pupils;symbol-shaped pupils;"
    "heart-shaped pupils;star-shaped pupils;ringed eyes;tsurime;tareme;jitome;sanpaku;long eyelashes;thick eyelashes;"
    "thick eyebrows;short eyebrows;forked eyebrows;colored eyelashes;colored sclera;black sclera".split(";")
)  # fmt: skip
"""Colour and shape of eyes, lashes and brows. What eyes do ("closed eyes") is none of it."""

BODY = (
    frozenset(f"{animal} {part}" for animal in _ANIMALS.split() for part in "ears tail horns wings girl boy".split())
    | frozenset(f"{size} breasts" for size in ("flat", "small", "medium", "large", "huge", "gigantic"))
    | frozenset(f"{colour} skin" for colour in "dark tan pale light blue green grey red purple pink colored".split())
    | frozenset(
        "flat chest;breasts;dark-skinned female;dark-skinned male;tan;tanlines;muscular;muscular female;muscular male;"
        "abs;toned;plump;fat;curvy;wide hips;thick thighs;petite;tall;tall female;loli;shota;mature female;mature male;"
        "aged down;aged up;child;old;old man;old woman;pointy ears;ears;tail;multiple tails;horns;single horn;"
        "curled horns;wings;feathered wings;halo;fang;fangs;sharp teeth;claws;mole;mole under eye;mole under mouth;"
        "mole on breast;freckles;scar;scar on face;scar across eye;facial mark;whisker markings;forehead mark;tattoo;"
        "facial tattoo;facial hair;beard;mustache;goatee;stubble;extra ears;third eye;one-eyed;prosthesis;"
        "mechanical arms;mechanical legs;monster girl;lamia;mermaid;elf;furry;furry female;furry male".split(";")
    )
)  # fmt: skip
"""Shape, skin, marks and animal parts of a body."""

MEDIUM = frozenset(
    "monochrome;greyscale;sepia;spot color;limited palette;muted color;high contrast;pastel colors;sketch;lineart;"
    "line art;traditional media;watercolor;oil painting;acrylic painting;ink wash;pencil drawing;charcoal drawing;"
    "pixel art;3d;cgi;render;realistic;photorealistic;photo-realistic;photograph;photo;painterly;flat color;"
    "anime coloring;cel shading;no lineart;outline;white outline;black outline;halftone;screentones;hatching;"
    "crosshatching;impressionism;art nouveau;ukiyo-e;abstract;surreal;vector art;retro artstyle;toon;cartoon;"
    "anime screenshot;game cg;concept art;illustration;drawing;painting;digital art;chromatic aberration;film grain;"
    "jpeg artifacts;bloom;style parody;fine art parody;faux traditional media;unfinished;colorized;comic;manga;"
    "4koma".split(";")
)  # fmt: skip
"""How a picture is made."""

FILE = frozenset(
    "highres;absurdres;incredibly absurdres;lowres;huge filesize;wallpaper;masterpiece;best quality;high quality;"
    "normal quality;low quality;worst quality;amazing quality;very aesthetic;aesthetic;official art;promotional art;"
    "scan;scanned;commentary;commentary request;english commentary;chinese commentary;korean commentary;"
    "partial commentary;translation request;translated;bad id;bad pixiv id;bad twitter id;md5 mismatch;revision;"
    "third-party edit;source request;artist request;character request;copyright request;tagme;commission;"
    "commissioner upload;paid reward available;signature;watermark;sample watermark;artist name;artist logo;dated;"
    "web address;twitter username;patreon username;patreon logo;pixiv id;copyright name;copyright notice;"
    "second-party source;duplicate;image sample;resized;upscaled;animated;animated gif;video;non-web source".split(";")
)  # fmt: skip
"""What tells of the file, its publishing or its quality, and not of what is to be seen."""


def several(keys: Collection[str]) -> bool:
    """True if tags say that there is more than one person, or one person more than once.

    Args:
        keys: The tags of a picture, see `words.key`.
    """
    found = frozenset(keys)
    return bool(found & _SEVERAL) or len(found & ONE) > 1


def alone(keys: Collection[str]) -> bool:
    """True if tags say that there is exactly one person; False too where they say nothing of people."""
    return bool((ONE | {"solo"}) & frozenset(keys)) and not several(keys)


def feature(key: str) -> str:
    """What of a character a tag describes, as the beginning of a sentence; "" for none."""
    if key in HAIR:
        return "hair"
    if key in EYES:
        return "the face"
    return "the body" if key in BODY else ""


def of_medium(key: str, category: str) -> bool:
    """True if a tag says how the picture is made, or by whom."""
    return category == "artist" or key in MEDIUM or key.endswith((" (medium)", " (style)"))


def of_file(key: str, category: str) -> bool:
    """True if a tag tells of the file, not of what is to be seen."""
    return (category == "meta" and not of_medium(key, "")) or key in FILE
