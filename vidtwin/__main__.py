"""`python -m vidtwin` is the command `vidtwin`."""

from .cli import main

if __name__ == "__main__":
    main()
