"""What the figures of docs/figures.md come from; README.md here says how."""
