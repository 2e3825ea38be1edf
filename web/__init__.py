"""Flask and WebSocket server, live page and command line."""
