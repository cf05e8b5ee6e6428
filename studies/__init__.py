"""The project's own experiments, not shipped: ``python -m studies`` lists them."""
