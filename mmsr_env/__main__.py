"""`python -m mmsr_env` is the command `mmsr`."""

import sys

from mmsr_env.cli import main

if __name__ == "__main__":
    sys.exit(main())
