"""The networks; `registry` lists them by name."""
