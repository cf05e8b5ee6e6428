"""The project's own experiments: ``python -m studies.NAME --help``. Not shipped."""
