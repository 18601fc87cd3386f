"""Open places: `recipes` makes one scene of a far category; the others are what they are made of."""
