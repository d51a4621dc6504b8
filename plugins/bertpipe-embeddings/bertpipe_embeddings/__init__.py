"""Vectors for documents, windows or sentences, as a plug-in of bertpipe."""
