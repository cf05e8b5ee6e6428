"""Pictures of landmarks and of what became of them: arrays in, pictures out."""
