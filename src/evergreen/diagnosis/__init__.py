"""Diagnosis: why is the model bad? Rules from tables to findings, the most important first."""
