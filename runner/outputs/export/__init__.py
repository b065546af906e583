"""A film as it stands → what editors, spreadsheets and data sets read; one module a format, all named in `formats`."""
