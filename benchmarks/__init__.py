"""What the README's figures come from; README.md here says how."""
