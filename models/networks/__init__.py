"""The Keras architectures, and how their weights are fitted."""
