"""`python -m evergreen.cli`: the command line without its script."""

from evergreen.cli import main

if __name__ == "__main__":
    main()
