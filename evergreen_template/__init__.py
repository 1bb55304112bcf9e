"""The template: how a new project is made from this repository. Standard library only."""
