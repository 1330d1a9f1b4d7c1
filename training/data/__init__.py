"""Where images come from and what they hold: sources, decoded pixels, parts, classes. Knows no network."""
