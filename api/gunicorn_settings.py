"""Settings for gunicorn: `gunicorn -c python:api.gunicorn_settings api.wsgi:app`; its own options override them."""

from __future__ import annotations

import logging
import sys
from typing import Any

bind = "127.0.0.1:8080"
workers = 2
threads = 8
worker_class = "api.gunicorn_worker.PatientWorker"
worker_connections = 1000
keepalive = 5
graceful_timeout = 30
forwarded_allow_ips = ""  # LEDGER_TRUSTED_PROXIES says whom the application believes
preload_app = False  # each worker opens its own database connections


def post_fork(_server: Any, _worker: Any) -> None:
    """Log as `supportledger serve` does: a line a request, on standard error."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
