"""What is read off results and trained runs. Modules here that need only NumPy and SciPy never import JAX."""
