"""Reads one number off each text."""
