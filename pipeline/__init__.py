"""Material in, scenes planned, audio rendered, records encoded, tf.data out."""
