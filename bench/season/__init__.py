"""A season of a house, played in accelerated time against the real services, with faults."""
