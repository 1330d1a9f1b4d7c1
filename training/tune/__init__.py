"""Search for better options, with training's own loop. Never sees the test part."""
