"""`supportledger serve`: the API in this process, with its documentation page."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import entry_points
from typing import Any

import click

from ledger.cli_context import ledger_of
from ledger.errors import Unavailable
from ledger.settings import Settings
from ledger.texts import text

BACKGROUND = "supportledger.background"  # what runs beside the API: the scheduler's jobs, which the API does not know


def register(root: click.Group) -> None:
    """Add this package's command to the root."""
    root.add_command(serve_command)


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--threads", type=click.IntRange(1, 256), default=8, show_default=True)
@click.option(
    "--with-worker/--without-worker", default=True, show_default=True, help="lecturas y tareas · read models and jobs"
)
@click.pass_context
def serve_command(ctx: click.Context, host: str, port: int, threads: int, with_worker: bool) -> None:
    """Servir la API y su documentación · serve the API and its documentation page."""
    from api.app import create_app  # here, so that no other command waits for Flask
    from api.serve import Server
    from api.worker import Worker

    settings: Settings = ctx.obj["settings"]
    with ledger_of(ctx):
        pass  # a ledger that cannot serve is refused here, before anything listens
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    # A request that waits a moment for a thread is no news: waitress would say it each time.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    app = create_app(settings)
    services = app.extensions["ledger"]
    services.share_among(threads)
    try:
        server = Server(app, host=host, port=port, threads=threads)
    except OSError as error:
        raise Unavailable("port_taken", host=host, port=port, why=error.strerror or str(error)) from error
    except ValueError as error:
        raise Unavailable("listening_wrong", host=host, port=port, why=str(error)) from error
    server.heed_signals()
    worker = Worker(services)
    others: list[Any] = []
    if with_worker:
        app.extensions["ledger_worker"] = worker
        worker.start()
        others = [point.load()(services.ledger, services.projector) for point in entry_points(group=BACKGROUND)]
    for other in others:
        other.start()
    shown = f"[{host}]" if ":" in host else host
    click.echo(text("serving", ctx.obj["lang"], host=shown, port=server.port))
    sys.stdout.flush()
    drained = server.run()
    for other in others:
        other.stop()
    if with_worker:
        worker.stop()
    if drained:  # else a thread still holds a connection, and closing would wait for it
        services.close()
