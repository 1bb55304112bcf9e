"""Models in open formats: one ONNX graph of the whole scoring path, or XGBoost's own files."""
