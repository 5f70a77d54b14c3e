"""What judges candidates: a short training of each, or a supernet that holds all of them."""
