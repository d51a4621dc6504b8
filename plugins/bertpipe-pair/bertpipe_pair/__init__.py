"""Models that read two texts together, as a plug-in of bertpipe."""
