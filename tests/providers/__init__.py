"""Every provider, held to the same promises, and what each is asked and answers."""
