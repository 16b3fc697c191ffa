"""From features to the matrix that networks read: transforms, scales, categories, missing values, images."""
