"""For servers that import an application: `gunicorn api.wsgi:app`. Opens nothing until the first request."""

from __future__ import annotations

from api.app import create_app

app = create_app()
