"""The packaged model, and what it predicts for rows whose labels are not known yet."""
