"""Says how the product spreads: who brought whom, how many each user brings, and how long it takes."""
