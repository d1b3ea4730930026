"""What is known of a loop before it is lowered: invariants, addresses, memory dependences, dimensions."""
