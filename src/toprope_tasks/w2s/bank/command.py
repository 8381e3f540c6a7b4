"""The command `toprope extract`: a bank of real activations from two models and labelled texts."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

import click

from toprope.cli.group import Command, as_json, emit
from toprope_tasks.w2s.bank.models import Pooling


def _listed(each: Callable[[str], Any], expected: str) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A callback that reads values between commas."""

    def read(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[Any, ...]:
        try:
            return tuple(dict.fromkeys(each(v.strip()) for v in value.split(","))) if value else ()
        except ValueError:
            raise click.BadParameter(f"{value!r}; expected {expected}") from None

    return read


def _pooling(word: str) -> Pooling:
    if word not in get_args(Pooling):
        raise ValueError(word)
    return cast(Pooling, word)


LAYERS: dict[str, Any] = {"metavar": "N,...", "callback": _listed(int, "numbers of blocks between commas, as 4,16")}
MODEL = "a folder, a .gguf, a name on the hub, or an .npy of (rows, d) features"


@click.command(cls=Command, short_help="Make a bank of real activations for w2s/bank-v2.")
@click.option("--strong", required=True, metavar="MODEL", help=f"The strong model: {MODEL}.")
@click.option("--weak", required=True, metavar="MODEL", help="The weak model, which teaches: the same.")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="JSONL of texts and labels.")
@click.option("-o", "--output", "out", required=True, type=click.Path(path_type=Path), help="Bank to write, an .npz.")
@click.option("--strong-layers", **LAYERS, help="Blocks after which states are read [the middle one].")
@click.option("--weak-layers", **LAYERS, help="The same for the weak model.")
@click.option(
    "--pooling",
    metavar="mean,last",
    callback=_listed(_pooling, "mean, last or mean,last"),
    default="mean",
    show_default=True,
    help="How the states of a text's tokens become one.",
)
@click.option("--width", type=click.IntRange(1), help="Principal components kept of the strong model [all columns].")
@click.option("--weak-width", type=click.IntRange(1), help="The same for the weak model [as --width].")
@click.option("--small", is_flag=True, help="Store features as int8.")
@click.option("--margins", is_flag=True, help="Keep the strong model's logit margin of the next token, too.")
@click.option("--max-tokens", type=click.IntRange(2), default=256, show_default=True, help="Of a text, for a model.")
@click.option(
    "--batch", type=click.IntRange(1), default=32, show_default=True, help="Texts that a model reads at once."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--parts", type=click.Path(path_type=Path), help="Keep finished parts here [removed at the end].")
@click.option("--concept", help="Name of the concept, where rows have one label.")
@click.option("--source", default="not stated", help="Where the texts come from, for the manifest.")
@click.option("--licence", default="not stated", help="Licence of texts and labels.")
@click.option("--strong-licence", default="not stated", help="Licence of the strong model.")
@click.option("--weak-licence", default="not stated", help="Licence of the weak model.")
@as_json
def extract(
    data: Path,
    out: Path,
    concept: str | None,
    strong: str,
    strong_layers: tuple[int, ...],
    width: int | None,
    strong_licence: str,
    weak: str,
    weak_layers: tuple[int, ...],
    weak_width: int | None,
    weak_licence: str,
    pooling: tuple[Pooling, ...],
    as_json: bool,
    **more: Any,
) -> None:
    """Make a bank of real activations: what two models say inside about labelled texts (needs the extra [hf]).

    Started again after it was interrupted, the same command goes on. The labels go into a file of their own, beside
    the bank. docs/tasks/w2s-bank.md shows the forms of --data.
    """
    from toprope.view import terminal
    from toprope_tasks.w2s.bank import extract as making
    from toprope_tasks.w2s.bank import texts

    command = shlex.join(["toprope", *sys.argv[1:]])
    parts = more["parts"] or out.with_name(f"{out.name}.parts")
    click.get_current_context().find_root().obj = (parts, command)
    with terminal.screen() as screen:
        result = making.extract(
            out,
            texts.read(data, concept),
            making.Side(strong, strong_layers, width, strong_licence),
            making.Side(weak, weak_layers, weak_width or width, weak_licence),
            making.Options(poolings=pooling, command=command, **more),
            screen.progress,
        )
        for model, count in result["shortened"].items():
            if count:
                screen.say(f"{count} of {result['rows']} texts are longer than {model} read: --max-tokens cut them")
    emit(result, as_json, _told)


def _told(r: dict[str, Any]) -> str:
    return (
        f"{r['bank']}: {r['rows']} texts, {r['admitted']} of {r['concepts']} concepts can be climbed on, "
        f"{', '.join(r['layers'])}, in {r['seconds']:.0f} s"
    )
