"""All that git does not have, kept elsewhere, and restored where everything else is lost."""
