"""The output folder: one row per record, in parts that are whole or absent."""
