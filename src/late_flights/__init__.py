"""YOURS: which flights will arrive late? The definition, what is expected of a batch, and where the flights come from."""
