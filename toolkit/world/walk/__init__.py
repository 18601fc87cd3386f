"""A room and a street joined by a door, and a camera's way from one to the other."""
