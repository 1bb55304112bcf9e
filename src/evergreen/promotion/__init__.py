"""Shall a challenger become the champion: evidence, comparison, gate, rollback."""
