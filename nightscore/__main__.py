"""`python -m nightscore`, the same as the command `nightscore`."""

from flows.cli.app import main

if __name__ == "__main__":
    main()
