"""The features of a day: feature SQL, the views that it reads, and the features in batches."""
