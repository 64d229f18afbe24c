"""Text to tokens to vectors. All modules but ``engine`` are pure: they take no database handle."""
