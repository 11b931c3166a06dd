"""``python -m allophone``."""

from allophone.cli import main

if __name__ == "__main__":
    main()
