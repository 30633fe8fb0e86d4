"""Control rows: real molecules, noisy ones, random clouds, ETKDG on the graphs of another row (see README.md)."""
