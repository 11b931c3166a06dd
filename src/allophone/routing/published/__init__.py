"""The published decider: a network on the small encoder's states, as its paper has it."""
