"""The shipped weights: what is rendered, what is trained on it in which stages, and how it gets into the package."""
