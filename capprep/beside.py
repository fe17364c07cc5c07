"""The texts beside source pictures: read where they are new or changed, forgotten where they are gone."""

from __future__ import annotations

from capprep.images.entries import Entry
from capprep.images.files import Opener
from capprep.images.texts import read_text
from capprep.images.unusable import Unusable
from capprep.sources import Text
from capprep.workspace import Workspace


def remember_texts(workspace: Workspace) -> None:
    """Make the texts that a workspace knows those that its sources were found with, see `Sources.find_texts`.

    One whose size and time are as last seen is not opened.
    """
    workspace.sources.forget_texts()
    with Opener() as opener:
        for some in workspace.sources.texts_to_read():
            workspace.sources.set_texts([_read(source, text, opener) for source, text in some])


def _read(source: bytes, text: Entry, opener: Opener) -> Text:
    try:
        return Text(source, text.key, text.bytes, text.stamp, read_text(text, opener))
    except Unusable as unusable:
        # of these the same bytes say the same again; another fault may be mended without a change of size or time
        lasting = unusable.reason in ("too_large", "encoding")
        size, stamp = (text.bytes, text.stamp) if lasting else (-1, -1)
        return Text(source, text.key, size, stamp, None, unusable.message)
