"""Inputs of networks: a file for each source of examples; source.py makes batches of any."""
