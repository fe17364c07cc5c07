"""What a tag speaks of, and whether a model that matches pictures with words can judge it at all.

Such models see a bag of words: "no hat" fits a picture with a hat, "2girls" one with a girl, and of quality and of most
names they know nothing (Winoground 2204.03162, ARO 2210.01936). Tags of these kinds are left to whoever gave them.
"""

from __future__ import annotations

import re

VISUAL = "visual"
COUNT = "count"
NEGATION = "negation"
META = "meta"
NAME = "name"
WORDLESS = "unknown"

REASONS = {
    COUNT: "a count: the model that compares pictures with words cannot count, so it is not judged",
    NEGATION: "says what is not there: the model that compares pictures with words cannot tell, so it is not judged",
    META: "tells of the file, its quality or its rating and not of what is to be seen, so it is not judged",
    NAME: "a name: the model that compares pictures with words may never have met it, so it is not judged",
    WORDLESS: "has no words that could be compared with a picture",
}
"""Why tags of each class are not judged; those of `VISUAL` are."""

_NUMBER = r"(?:\d+\+?|one|two|three|four|five|six|seven|eight|nine|ten|multiple|several|many)"
_COUNTED = r"(?:girl|boy|other|woman|man|women|men|people|person|child|object|thing|animal|cat|dog|bird|view|koma)s?"
_COUNT = re.compile(
    rf"{_NUMBER} ?(?:{_COUNTED}|children)|solo|solo focus|duo|trio|couple|group|crowd|everyone|alone|"
    rf"(?:\d+|{_NUMBER}) (?!tone\b)[a-z]+s"
)
_NEGATION = re.compile(r"(?:no|not|non|without|missing|lack of) .+|(?:un|in)visible .+|.+ (?:absent|missing|removed)")
_NAMES = frozenset(("character", "copyright", "artist", "series", "person"))
_SERIES = re.compile(r".+ \((?!medium\)|style\)|object\)|animal\)|weapon\)|symbol\)|food\)|flower\)|cosplay\))[^()]+\)")
_SEEN_META = frozenset(
    "monochrome;greyscale;sepia;sketch;lineart;line art;watercolor;oil painting;pixel art;3d;comic;manga;photograph;"
    "photo;painting;drawing;illustration;flat color;ink drawing;crayon drawing;pastel colors;neon lights;woodcut;"
    "inverted colors;blurry;dark;border;silhouette;collage;blueprint;map;text".split(";")
)
_QUALITY = re.compile(
    r"(?:absurd|high|low|huge|incredibly absurd)res|(?:best|high|good|normal|bad|low|worst|amazing|great) quality|"
    r"masterpiece|(?:very )?aesthetic|award winning|trending on .+|(?:ultra |highly |extremely )?detailed|score \d.*|"
    r"(?:4|8|16)k|u?hd(?:r)?|commentary.*|.* commentary|.* request|tagme|.* id|.*md5.*|(?:official|promotional) art|"
    r"commission.*|.*watermark|signature|artist name|artist logo|dated|web address|.* username|.* logo|copyright .*|"
    r"duplicate|resized|upscaled|scan(?:ned)?|translated|revision|huge filesize|wallpaper|source .*|third-party edit|"
    r"rating:.*|rating .*|safe|sensitive|questionable|explicit|general|nsfw|sfw|newest|oldest|recent|early|"
    r"jpeg artifacts|image sample|paid reward available|animated.*|video"
)


def class_of(text: str, category: str = "general") -> str:
    """What a tag speaks of: `VISUAL`, or a key of `REASONS`.

    Args:
        text: As words ("long hair"); only compared with tables.
        category: The tagger's, or another word for a tag of unknown origin.
    """
    words = " ".join(text.casefold().replace("_", " ").split())[:200]
    if not re.search(r"[^\W\d_]{2}|[^\W\d_a-z]", words):
        return WORDLESS
    unseen = category == "meta" and words not in _SEEN_META and not words.endswith(" (medium)")
    for kind, applies in (
        (META, category == "rating" or _QUALITY.fullmatch(words)),
        (NAME, category in _NAMES or _SERIES.fullmatch(words)),
        (NEGATION, _NEGATION.fullmatch(words)),
        (COUNT, _COUNT.fullmatch(words)),
        (META, unseen),
    ):
        if applies:
            return kind
    return VISUAL
