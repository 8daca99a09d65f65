"""What every stage hands to the next: frozen, checked data. Needs numpy and pydantic only."""
