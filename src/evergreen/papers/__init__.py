"""The papers of a data set and of a model: datasheet, Croissant, model card, bill of materials."""
