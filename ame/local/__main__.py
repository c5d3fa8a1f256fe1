"""`python -m ame.local HOME SERVER...` is the keeper of a home."""

import sys

from ame.local.keeper import main

main(sys.argv[1:])
