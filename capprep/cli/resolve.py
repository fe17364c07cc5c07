"""From options and profile to stages with verified weights, on a device that was asked for or found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from capprep.cli.session import Session, shown_path
from capprep.engines.local import LocalEngine
from capprep.errors import ConfigError
from capprep.models.tagger_spec import BUILT_IN, TaggerSpec, find_spec
from capprep.pipeline import Step
from capprep.stage import Runtime
from capprep.stages.blip import Blip
from capprep.stages.booru import Booru
from capprep.stages.match import MatchImage, MatchText
from capprep.store import Found, Store
from capprep.thresholds import Thresholds

device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where the models run; auto takes a CUDA GPU if there is one that works.",
)
caption_model_option = click.option(
    "--caption-model",
    metavar="NAME|DIR",
    help="Another BLIP captioner: a model of `capprep models list`, or a folder.",
)
booru_model_option = click.option(
    "--booru-model",
    metavar="NAME|FILE",
    help="Another tagger: a model of `capprep models list`, or an .onnx file.",
)
booru_labels_option = click.option(
    "--booru-labels",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The tag list of an .onnx file given with --booru-model (.csv or .txt).",
)
booru_spec_option = click.option(
    "--booru-spec",
    metavar="NAME|FILE",
    help="What an .onnx file given with --booru-model takes and answers: deepdanbooru, wd-v3, or a .toml file.",
)
match_model_option = click.option(
    "--match-model",
    metavar="NAME|DIR",
    help="Another BLIP image-text matcher, likewise.",
)


def find_model(session: Session, role: str, given: str | None, labels: Path | None = None) -> Found:
    """The model for a role: the one given by name or path, else the profile's; verified.

    Raises:
        ModelError: It is not there, cannot be fetched, or is not what it should be.
        ConfigError: The name given is of a model for something else.
    """
    if given is not None and given not in session.lock.models:
        return Store().given(Path(given), labels)
    if labels is not None:
        raise ConfigError("--booru-labels is for a tagger of your own", "name its .onnx file with --booru-model")
    model = session.lock.named(given or session.profile.models[role])
    if model.role != role:
        raise ConfigError(f"{model.name} is a model for {model.role}, not for {role}", "see: capprep models list")
    with session.progress(of_bytes=True) as watch:
        found = Store(watch=watch).find(model)
    for note in found_notes(found):
        session.note(f"{found.name}: {note}")
    return found


def found_notes(found: Found) -> list[str]:
    """What was not as usual when a model was found, one line each."""
    lines = [f"a damaged file was fetched anew; the old one is {shown_path(path)} now" for path in found.put_aside]
    if found.recorded:
        names = ", ".join(found.recorded)
        lines.append(f"no SHA-256 was known for {names}; what is here now is recorded, and later files are held to it")
    return lines


def caption_step(session: Session, blip: Blip, given: str | None, device: str) -> Step:
    """BLIP on a device."""
    from capprep.models.device import torch_device

    found = find_model(session, "caption", given)
    runtime = Runtime(torch_device(device), found.path)
    return Step(
        dataclasses.replace(blip, weights=found.sha256), LocalEngine(runtime), f"{found.name} on {runtime.device}"
    )


def find_tagger(session: Session, given: str | None, labels: Path | None, spec: str | None) -> tuple[Found, TaggerSpec]:
    """The tagger given by name or path, else the profile's, verified; and what it takes and answers.

    Args:
        session: The call.
        given: A name of the lock, or the path of an `.onnx` file, or None.
        labels: The tag list of such a file; None for the one its description names, or the graph's own metadata.
        spec: Its description by name or path; None for the `.toml` file beside it, or DeepDanbooru's.

    Raises:
        ModelError: It is not there, cannot be fetched, or is not what it should be.
        ConfigError: The name is of a model for something else, or the description is not possible.
    """
    if given is None or given in session.lock.models:
        if spec is not None:
            raise ConfigError("--booru-spec is for a tagger of your own", "name its .onnx file with --booru-model")
        found = find_model(session, "booru", given, labels)
        model = session.lock.named(found.name)
        known = BUILT_IN[model.tagger]
        own = Thresholds.from_json(model.thresholds) if model.thresholds else known.thresholds
        return found, dataclasses.replace(known, thresholds=own)
    path = Path(given)
    beside = path.parent / f"{path.stem}.toml"
    described = find_spec(spec or (str(beside) if beside.is_file() else "deepdanbooru"))
    if labels is None and described.labels:
        labels = path.parent / described.labels
    return find_model(session, "booru", given, labels), described


def booru_step(session: Session, given: str | None, labels: Path | None, device: str, spec: str | None = None) -> Step:
    """The tagger on a device; the provider in its label is the one in use, or loading it fails."""
    from capprep.models.device import CPU_PROVIDER, CUDA, CUDA_PROVIDER, onnx_device

    found, described = find_tagger(session, given, labels, spec)
    runtime = Runtime(onnx_device(device), found.path, found.labels)
    label = f"{found.name} on {CUDA_PROVIDER if runtime.device == CUDA else CPU_PROVIDER}"
    return Step(Booru(weights=found.sha256, spec=described.to_text()), LocalEngine(runtime), label)


def match_steps(session: Session, given: str | None, device: str, dtype: str) -> tuple[Step, Step]:
    """The matcher's two stages, pictures and texts, on a device."""
    from capprep.models.device import torch_device

    found = find_model(session, "match", given)
    engine = LocalEngine(Runtime(torch_device(device), found.path))
    label = f"{found.name} on {engine.runtime.device}"
    return (
        Step(MatchImage(weights=found.sha256, dtype=dtype), engine, label),
        Step(MatchText(weights=found.sha256, dtype=dtype), engine, label),
    )


def shipped_digests(session: Session, profile_name: str) -> set[str]:
    """The digests of a profile's models that ship with the program."""
    names = session.lock.profile(profile_name).models.values()
    store = Store()
    return {store.find(model).sha256 for model in map(session.lock.named, names) if model.package}
