"""Features, networks, training, evaluation, export, streaming. Only here is Keras imported."""
