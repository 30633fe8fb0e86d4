"""Heavy atoms from the number of all atoms, by least squares: what a judge needs to be one."""
