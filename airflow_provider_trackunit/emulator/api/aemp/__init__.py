"""The AEMP 2.0 feed (ISO 15143-3): pages and links, and the rows on them, as JSON and as XML."""
