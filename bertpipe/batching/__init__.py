"""From texts to batches: tokens, windows, plans and packed arrays. Pure arithmetic on arrays."""
