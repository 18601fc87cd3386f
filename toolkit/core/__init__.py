"""The ground floor: what every other package may import, and which imports nothing of ours."""
