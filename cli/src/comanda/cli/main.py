"""The `comanda` command. What a command needs is imported when it runs, so that each one starts fast."""

from pathlib import Path
from typing import Annotated

import typer

from comanda.cli.errors import plain_errors

app = typer.Typer(
    name="comanda",
    help="Comanda on one machine: four services, one command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
admin = typer.Typer(no_args_is_help=True, help="Administrators of this installation.")
app.add_typer(admin, name="admin")
keys = typer.Typer(no_args_is_help=True, help="The keys that sign the users' tokens, and the master key.")
app.add_typer(keys, name="keys")

Email = Annotated[str | None, typer.Option(envvar="COMANDA_ADMIN_EMAIL", help="email of an administrator")]
Password = Annotated[str | None, typer.Option(envvar="COMANDA_ADMIN_PASSWORD", help="password of that administrator")]


@app.callback()
def before_every_command() -> None:
    from comanda.cli.environment import read_env_file

    read_env_file(Path(".env"))


@app.command()
def up(
    seed: Annotated[bool, typer.Option(help="fill an empty shop the first time, unless in production")] = True,
) -> None:
    """Start the four services, and keep them running until Ctrl-C or SIGTERM."""
    from comanda.cli.up import up

    with plain_errors():
        up(seed=seed)


@app.command(hidden=True)
def announce(seed: bool = True) -> None:
    """Wait until the services are ready, then say so. Started by `up`."""
    from comanda.cli.announce import announce

    announce(seed=seed)


@app.command()
def status() -> None:
    """Show the services that `up` is running."""
    from comanda.cli.status import status

    with plain_errors():
        status()


@app.command()
def seed(email: Email = None, password: Password = None) -> None:
    """Fill the running shop with a small catalogue; safe to run twice."""
    from comanda.cli.seed import command

    with plain_errors():
        command(email, password)


@app.command()
def verify(
    key: Annotated[
        Path | None, typer.Option(envvar="COMANDA_OPERADOR_KEY", help="the operator's private key, PEM")
    ] = None,
    inventario: Annotated[str | None, typer.Option(help="address of inventario")] = None,
    pedidos: Annotated[str | None, typer.Option(help="address of pedidos")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document instead of lines")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="mend what the services can mend, as an administrator and as pedidos")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="exit 3 if anything could not be judged")] = False,
) -> None:
    """Check the invariants across the running services: 0 all hold, 1 violations, 2 could not be checked."""
    from comanda.cli.verify import command

    with plain_errors():
        command(key, inventario=inventario, pedidos=pedidos, as_json=as_json, repair=repair, strict=strict)


@app.command()
def demo() -> None:
    """Run the whole story once, on free ports and a temporary folder."""
    from comanda.cli.demo import demo

    with plain_errors():
        demo()


@app.command()
def migrate(
    service: Annotated[list[str] | None, typer.Option(help="only this service; can be repeated")] = None,
) -> None:
    """Bring the database schemas up to date."""
    from comanda.cli.migrate import migrate

    with plain_errors():
        migrate(service or [])


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="a new folder, made when everything in it is whole")],
    service: Annotated[list[str] | None, typer.Option(help="only this service; can be repeated")] = None,
) -> None:
    """Copy the SQLite databases and the keys, while the services run."""
    from comanda.cli.backup import backup

    with plain_errors():
        backup(folder, service or [])


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="what `backup` made")],
    replace: Annotated[bool, typer.Option("--replace", help="put aside what is there, and restore")] = False,
) -> None:
    """Put a backup in place, while nothing runs; can be repeated if it died."""
    from comanda.cli.restore import restore

    with plain_errors():
        restore(folder, replace=replace)


@app.command()
def settings() -> None:
    """Print every environment variable with its default: the contents of `.env.example`."""
    from comanda.cli.reference import env_example

    print(env_example(), end="")


@admin.command()
def create(
    email: str,
    prompt: Annotated[bool, typer.Option(help="ask for the password instead of making one up")] = False,
) -> None:
    """Make this user an active administrator with a new password, registering it if necessary."""
    from comanda.cli.admin import create

    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True) if prompt else None
    with plain_errors():
        create(email, password)


@keys.command()
def rotate(
    now: Annotated[
        bool, typer.Option("--now", help="a key was stolen: withdraw all of them at once, and every token with them")
    ] = False,
) -> None:
    """Publish a new key, which begins to sign when every service has had the time to learn of it."""
    from comanda.cli.keys import rotate

    with plain_errors():
        rotate(now=now)


@keys.command()
def rewrap() -> None:
    """Encrypt anew what a former master key did, and say when AUTH_MASTER_KEY_PREVIOUS may be dropped."""
    from comanda.cli.keys import rewrap

    with plain_errors():
        rewrap()


@keys.command("list")
def list_keys() -> None:
    """Show the keys: which one signs, which is next, and until when the former ones are published."""
    from comanda.cli.keys import listing

    with plain_errors():
        listing()
