"""`capprep models`: list, fetch and check the models of `models.lock`."""

from __future__ import annotations

import click

from capprep.cli.session import Session, session_options, shown_path
from capprep.errors import CapprepError, ModelMissing
from capprep.lock import Model, Store


@click.group()
def models() -> None:
    """List, fetch and check the models.

    `capprep caption` and `capprep train` fetch what they need by themselves; use these to prepare a machine
    before it goes offline, or to see what is where.
    """


@models.command("list")
@session_options
def list_models(session: Session) -> None:
    """List every model with its role, size, licence and whether it is on this machine.

    A star marks the models of the profile.
    """
    chosen = set(session.profile.models.values())
    store = Store()
    rows = []
    for model in session.lock.models.values():
        here = _here(store, model)
        size = next((pin.shown_size for pin in model.files if pin.shown_size), "")
        rows.append((model, size, here))
    width = max(len(model.name) for model, *_ in rows)
    text = "\n".join(
        f"{'*' if model.name in chosen else ' '} {model.name:<{width}}  {model.role:<8} {size:>8}"
        f"  {'here' if here else '-':<5} {model.licence:<24} {model.about}"
        for model, size, here in rows
    )
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
    session.answer(text, {"profile": session.profile_name, "models": data})


@models.command("pull")
@session_options
@click.argument("names", metavar="[NAME]...", nargs=-1)
def pull(session: Session, names: tuple[str, ...]) -> None:
    """Fetch models at their pinned revision and check them.

    Without NAME: those of the profile.
    """
    store = Store()
    lines, data = [], {}
    for model in _named(session, names):
        found = store.find(model)
        lines.append(f"{model.name}: {shown_path(found.path)}  (SHA-256 {found.sha256[:16]}…)")
        if found.recorded:
            lines.append(f"  recorded the digest of {', '.join(found.recorded)}; later files are held to it")
        data[model.name] = {"path": str(found.path), "sha256": found.sha256, "recorded": list(found.recorded)}
    session.answer("\n".join(lines), {"models": data})


@models.command("verify")
@session_options
@click.argument("names", metavar="[NAME]...", nargs=-1)
def verify(session: Session, names: tuple[str, ...]) -> None:
    """Read models on this machine again and compare them with their digests.

    Without NAME: every model that is here. Ends with 1 if a file is not what it should be.
    """
    store = Store(trust=False, record=False)
    chosen = _named(session, names) if names else [m for m in session.lock.models.values() if _here(store, m)]
    results: dict[str, str] = {}
    for model in chosen:
        try:
            unknown = store.find(model, fetch=False).recorded
            results[model.name] = f"ok, but no digest is known for {', '.join(unknown)}" if unknown else "ok"
        except CapprepError as error:
            results[model.name] = error.message
    text = "\n".join(f"{name}: {result}" for name, result in results.items()) or "no model is on this machine yet"
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
