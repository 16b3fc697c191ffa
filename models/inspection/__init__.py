"""What a model card shows of a detector: losses by feature, its latent space, reconstructed images."""
