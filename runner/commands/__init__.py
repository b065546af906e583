"""One file a verb, each a client of the library's door and able to do nothing more."""
