"""Features, networks, training, evaluation, export, streaming. The only place that imports Keras."""
