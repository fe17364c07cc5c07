"""`python -m capprep`: the same as the command `capprep`."""

from capprep.cli import main

if __name__ == "__main__":
    main()
