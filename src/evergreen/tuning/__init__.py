"""Ways of training, tried on cuts in time before the newest batch, compared beyond the noise."""
