"""Encoders: load a model, run packed batches through it, share equal lower layers."""
