"""A command of this package's own."""

import click


@click.command(short_help="Greet from another package.")
def greet() -> None:
    click.echo("hello from otherlab")
