"""What this run is called and where its files lie. The demo chooses; its pool finds the choice in the environment."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from pathlib import Path

RUN = os.environ.setdefault("LASH_DEMO_RUN", f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
FOLDER = Path(tempfile.gettempdir(), RUN)
LEDGER = FOLDER / "ledger.tsv"
POOL_LOG = FOLDER / "pool.log"
