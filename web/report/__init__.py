"""Reports of evaluations: plain text for a terminal, one HTML file, and a page of the server."""
