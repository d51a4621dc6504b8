"""Fine-tune encoders: data, windows, heads, metrics and cards around transformers' Trainer."""
