"""Ways of training, tried on cuts in time before the newest batch, and compared beyond the noise."""
