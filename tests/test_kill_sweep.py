"""Sweeps killed at random moments, a gateway that fails at random: every subscription is charged exactly once.

A few of the cycles that `scripts/kill_sweep.py` runs by the hundred; see the package README for their counts.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_a_killed_sweep_charges_nobody_twice_and_loses_nothing(store_url: str) -> None:
    command = [sys.executable, "-m", "scripts.kill_sweep", store_url, "--cycles", "20", "--subscriptions", "8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    counted = re.match(r"(\d+) sweeps killed", done.stdout)
    assert counted is not None
    assert int(counted[1]) >= 20
