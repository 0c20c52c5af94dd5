"""`python -m exporter`: the same as the command `stream-exporter`."""

from exporter.cli import run

if __name__ == "__main__":
    run()
