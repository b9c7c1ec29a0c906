"""What is *remembered*: log writing, tiles, checkpoints, witnesses and the title arbiters."""
