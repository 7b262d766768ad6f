"""What a user can mend: each message says what was given, what is allowed and what to do."""


class MienError(Exception):
    """Base of every error that a user can mend; the command line prints it without a traceback."""


class ConfigError(MienError):
    """A setting, name or combination of settings that cannot be used."""


class DatasetError(MienError):
    """A dataset that is absent, incomplete or not in the layout that its reader expects."""


class MediaError(MienError):
    """A photo, video or sound that cannot be read."""


class BundleError(MienError):
    """A trained model that is absent, damaged, or does not fit what it is given."""


class MissingExtraError(MienError):
    """An optional package that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'mien[{extra}]'"
        )
