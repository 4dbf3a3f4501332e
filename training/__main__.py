"""`python -m vidtwin.training`: the command `vidtwin train` for launchers that want a module."""

from vidtwin.cli import main

if __name__ == "__main__":
    main("train")
