"""How a request travels: a module for each HTTP library, and what both share: deadlines, proxies, bodies, what can go wrong."""
