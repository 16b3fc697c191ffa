"""What was known when: the labels of the source, label files, known compromised entities."""
