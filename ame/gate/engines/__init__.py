"""Where the numbers are computed; each engine gives the same ones."""
