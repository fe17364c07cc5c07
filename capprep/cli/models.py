"""`capprep models`: list, fetch and check the models of `models.lock`."""

from __future__ import annotations

import click

from capprep.cli.resolve import found_notes
from capprep.cli.session import Session, session_options, shown_path
from capprep.errors import CapprepError, ModelMissing
from capprep.lock import Model
from capprep.store import Found, Store

_LEGEND = """\
* is used unless you name another. What a role is for: caption writes sentences, booru writes tags, match scores how
well they fit, base is what a hypernetwork is trained for. Fetch one with: capprep models pull NAME"""


@click.group()
def models() -> None:
    """List, fetch and check the models.

    `capprep caption`, `score` and `train` fetch what they need by themselves. Use these commands to prepare a machine
    before it goes offline, or to see what is here.
    """


@models.command("list")
@session_options
def list_models(session: Session) -> None:
    """Show every model and which are here.

    One line a model: its role, its size, whether it is on this machine, its licence, and what it is. A star marks
    those of the profile.
    """
    chosen = set(session.profile.models.values())
    store = Store()
    rows = []
    for model in session.lock.models.values():
        here = _here(store, model)
        size = next((pin.shown_size for pin in model.files if pin.shown_size), "")
        rows.append((model, size, here))
    width = max(len(model.name) for model, *_ in rows)
    lines = [f"  {'NAME':<{width}}  {'ROLE':<8} {'SIZE':>8}  {'HERE':<5} {'LICENCE':<24} WHAT IT IS"]
    lines += [
        f"{'*' if model.name in chosen else ' '} {model.name:<{width}}  {model.role:<8} {size or '?':>8}"
        f"  {'here' if here else '-':<5} {model.licence:<24} {model.about}"
        for model, size, here in rows
    ]
    data = [
        {
            "name": m.name,
            "role": m.role,
            "size": size,
            "here": here,
            "licence": m.licence,
            "about": m.about,
            "repository": m.repository,
            "revision": m.revision,
            "in_profile": m.name in chosen,
        }
        for m, size, here in rows
    ]
    session.answer("\n".join([*lines, "", _LEGEND]), {"profile": session.profile_name, "models": data})


@models.command("pull")
@session_options
@click.argument("names", metavar="[NAME]...", nargs=-1)
def pull(session: Session, names: tuple[str, ...]) -> None:
    """Fetch models and check them.

    NAME is one of `capprep models list`; without it, those of the profile are fetched. What is here already is
    checked and kept. A download that was broken off goes on where it stopped. A file that is not the one capprep
    knows is put aside and never used.
    """
    chosen = _named(session, names)
    with session.progress(of_bytes=True) as watch:
        store = Store(watch=watch)
        results: dict[str, Found] = {model.name: store.find(model) for model in chosen}
    lines = []
    for name, found in results.items():
        lines.append(f"{name} is ready: {shown_path(found.path)}  (SHA-256 {found.sha256[:16]}…)")
        lines += [f"  {note}" for note in found_notes(found)]
    data = {
        name: {
            "path": str(found.path),
            "sha256": found.sha256,
            "recorded": list(found.recorded),
            "put_aside": [str(path) for path in found.put_aside],
        }
        for name, found in results.items()
    }
    session.answer("\n".join(lines), {"models": data})


@models.command("verify")
@session_options
@click.argument("names", metavar="[NAME]...", nargs=-1)
def verify(session: Session, names: tuple[str, ...]) -> None:
    """Check the models that are here.

    Every file is read again and compared with its size and SHA-256. Nothing is fetched, moved or recorded. Without
    NAME: every model that is here. Ends with 1 if a file is not what it should be.
    """
    results: dict[str, str] = {}
    hints: dict[str, str] = {}
    with session.progress(of_bytes=True) as watch:
        store = Store(trust=False, record=False, watch=watch)
        chosen = _named(session, names) if names else [m for m in session.lock.models.values() if _here(store, m)]
        for model in chosen:
            try:
                unknown = store.find(model, fetch=False).recorded
                results[model.name] = f"ok, but no digest is known for {', '.join(unknown)}" if unknown else "ok"
                if unknown:
                    hints[model.name] = f"to hold later files to those here now: capprep models pull {model.name}"
            except CapprepError as error:
                results[model.name] = error.message
                hints[model.name] = error.hint
    lines = []
    for name, result in results.items():
        lines += [f"{name}: {result}", *(f"  {line}" for line in hints.get(name, "").splitlines())]
    text = "\n".join(lines) or "no model is on this machine yet; fetch the profile's with: capprep models pull"
    session.answer(text, {"models": results})
    click.get_current_context().exit(int(any(not result.startswith("ok") for result in results.values())))


def _named(session: Session, names: tuple[str, ...]) -> list[Model]:
    return [session.lock.named(name) for name in names or session.profile.models.values()]


def _here(store: Store, model: Model) -> bool:
    try:
        store.locate(model)
    except ModelMissing:
        return False
    return True
