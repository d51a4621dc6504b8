"""The built-in annotators, and what a BERT annotator inherits."""
