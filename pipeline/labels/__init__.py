"""Files of labels, a module a format; `label_files` reads and writes them all."""
