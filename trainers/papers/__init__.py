"""The papers: their networks' recipes (`edgedepth train papers/4` reads `4.toml`) and their tables, trained again."""
