"""``python -m lash_redis`` is the command ``lash-redis``."""

import sys

from lash_redis.cli.main import main

sys.exit(main())
