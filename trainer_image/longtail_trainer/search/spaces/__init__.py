"""What a search may choose from: choices, what each costs, and what a point decodes to."""
