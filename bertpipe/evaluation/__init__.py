"""Score models and finished runs on labelled data."""
