"""``python -m mien``, the same as ``mien``."""

from mien.cli.entry import main

if __name__ == "__main__":
    raise SystemExit(main())
