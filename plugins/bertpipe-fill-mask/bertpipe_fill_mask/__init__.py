"""The words that a language model would put in a gap, as a plug-in of bertpipe."""
