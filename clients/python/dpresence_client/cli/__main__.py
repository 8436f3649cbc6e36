"""Runs the command by ``python -m dpresence_client.cli``."""

import sys

from . import main

sys.exit(main())
