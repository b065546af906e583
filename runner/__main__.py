"""`python -m runner` is `callsheet`."""

from runner.cli import main

main()
