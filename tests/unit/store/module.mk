# unit tests of the layer store: they link it and what is below
