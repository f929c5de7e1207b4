# unit tests of the layer pki: they link it and what is below
