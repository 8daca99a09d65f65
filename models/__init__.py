"""Features, networks, training, evaluation, export, streaming: the only place with Keras."""
