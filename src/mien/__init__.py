"""mien: facial expressions from photos, videos and clips."""

__version__ = "0.1.0"
