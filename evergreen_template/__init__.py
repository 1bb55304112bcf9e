"""The template face of this repository: how a new project is made from it. Standard library only."""
