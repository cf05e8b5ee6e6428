"""The version: of the package, of its wheel and of the changelog."""

__version__ = "0.1.0"
