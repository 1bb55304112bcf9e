"""How good a model is: metrics with their intervals, baselines, predictions for unseen rows."""
