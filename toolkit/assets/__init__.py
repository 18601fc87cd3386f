"""What the package ships: the default bundle, its checkpoints, and label tables."""
