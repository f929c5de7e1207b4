# unit tests of the layer milter: they link it and what is below
