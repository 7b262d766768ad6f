"""``python -m mien``, the same as ``mien``."""

from mien.cli.entry import main

raise SystemExit(main())
