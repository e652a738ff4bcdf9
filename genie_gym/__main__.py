"""`python -m genie_gym` is `genie-gym`."""

import sys

from genie_gym.cli import main

sys.exit(main())
