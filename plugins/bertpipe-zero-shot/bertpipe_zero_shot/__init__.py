"""Classification with labels of one's own and no training, as a plug-in of bertpipe."""
