"""Does the champion still fit: drift, performance, staleness, and when to retrain."""
