"""`python -m orchestration.cli`: the `marketing` command, for programs that start it by their own Python."""

from . import main

main()
