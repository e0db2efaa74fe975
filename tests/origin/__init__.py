"""The token goes to the connection's own origin over TLS, and nowhere else, whatever anybody says."""
