# unit tests of the layer admin: they link it and what is below
