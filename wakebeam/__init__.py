"""The front door: command line, demo, report. Imports everything else; nothing imports it."""
