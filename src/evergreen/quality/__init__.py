"""What is odd about data: unusual batches, leaks, bias, doubtful labels."""
