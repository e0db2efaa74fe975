"""From records of AEMP to readings: what a block means, what a record says, and which of several readings stands."""
