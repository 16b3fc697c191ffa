"""What every room uses: values that travel, the dataset configuration, errors, staging, locks, atomic
files.
"""
